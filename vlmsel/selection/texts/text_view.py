"""Vectors of the texts of one task by one model."""

from dataclasses import dataclass, replace

import numpy as np

from vlmsel.errors import SelectionError


@dataclass(frozen=True, eq=False)
class TextView:
    """Vectors of a task's texts by a model, and for a source what labelled images add.

    Classes of one name are one class. All vectors but gaps have length 1.

    Attributes:
        names: of the K classes.
        classes: (K, D), mean over the prompts of each class.
        captions: (N, D).
        caption_classes: (N,), class numbers.
        synonyms: (S, D).
        synonym_classes: (S,), class numbers.
        gaps: (K, D), mean image vector of each class minus its `classes` row, NaN where no image is
            labelled; None where images must not be seen.
        accuracy: (K,), share of hits on each class, NaN likewise; None likewise.
    """

    names: tuple[str, ...]
    classes: np.ndarray
    captions: np.ndarray
    caption_classes: np.ndarray
    synonyms: np.ndarray
    synonym_classes: np.ndarray
    gaps: np.ndarray | None = None
    accuracy: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse a task on which nothing can be told apart.

        Raises:
            SelectionError: there are fewer than two classes, or a class without captions.
        """
        if len(self.names) < 2:
            raise SelectionError("texts of a task need two classes of different names, or more")
        without = sorted(set(range(len(self.names))) - set(self.caption_classes.tolist()))
        if without:
            raise SelectionError(f"class '{self.names[without[0]]}' has no captions")

    def hide_labels(self) -> "TextView":
        """The same without what labelled images add."""
        return replace(self, gaps=None, accuracy=None)

    def with_captions(self, captions: np.ndarray) -> "TextView":
        """The same with other captions of the same classes."""
        return replace(self, captions=captions)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; zero rows stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
