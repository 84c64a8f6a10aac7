"""A pool of images that a zoo answered on, and the labels given so far."""

from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import FAILED, check_answers


@dataclass(frozen=True, eq=False)
class Pool:
    """Answers of each model on each image that may be labelled.

    Attributes:
        classes: (models, images), class numbers, `OUTSIDE` or `FAILED`.
        n_classes: number of classes, 2 or more.
        probabilities: (models, images, classes), softmax outputs; None where only the answers are
            known. Rows that are not finite count as uniform.
    """

    classes: np.ndarray
    n_classes: int
    probabilities: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse impossible answers.

        Raises:
            SelectionError: an answer is impossible, or the probabilities have another shape.
        """
        check_answers(self.classes, self.n_classes, None)
        shape = (*self.classes.shape, self.n_classes)
        if self.probabilities is not None and self.probabilities.shape != shape:
            raise SelectionError(
                f"probabilities of a pool need the shape (models, images, classes) {shape}, not "
                f"{self.probabilities.shape}"
            )

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.classes.shape[1]

    def beliefs(self) -> np.ndarray:
        """Probabilities (models, images, classes), uniform where a model has none.

        Raises:
            SelectionError: the pool has no probabilities.
        """
        if self.probabilities is None:
            raise SelectionError("this order needs the probabilities of the classes, not answers")
        known = np.isfinite(self.probabilities).all(axis=2, keepdims=True)
        return np.where(known, self.probabilities, 1 / self.n_classes)


@dataclass(frozen=True)
class Labelled:
    """Images that were labelled, in the order in which they were picked.

    Attributes:
        images: their columns in the pool.
        labels: class numbers; negative for an image in none of the classes.
    """

    images: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an image without one label.

        Raises:
            SelectionError: there are more labels than images or fewer, or an image comes twice.
        """
        if len(self.images) != len(self.labels) or len(set(self.images)) < len(self.images):
            raise SelectionError("every labelled image needs exactly one label")

    def adding(self, image: int, label: int) -> "Labelled":
        """The same with one more label."""
        return Labelled((*self.images, image), (*self.labels, label))


def hits_on(pool: Pool, labelled: Labelled) -> np.ndarray:
    """Hits (labelled images, models): 1 or 0, NaN where a model has no answer."""
    answers = pool.classes[:, list(labelled.images)].T
    labels = np.array(labelled.labels, dtype=int)[:, None]
    right = (answers == labels) & (labels >= 0)
    return np.where(answers == FAILED, np.nan, right.astype(float))


def hit_rates(pool: Pool, labelled: Labelled) -> np.ndarray:
    """Share of hits of each model, (models,); 0 where nothing is known."""
    hits = hits_on(pool, labelled)
    known = np.isfinite(hits)
    return np.where(known, hits, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def unlabelled(pool: Pool, labelled: Labelled) -> np.ndarray:
    """Columns of the images without a label.

    Raises:
        SelectionError: every image has one.
    """
    rest = np.setdiff1d(np.arange(pool.n_images), np.array(labelled.images, dtype=int))
    if not len(rest):
        raise SelectionError(f"all {pool.n_images} images are labelled; there is none to pick")
    return rest


def pick_among_best(values: np.ndarray, rng: np.random.Generator) -> int:
    """Place of the largest value; one at random among those that are as large."""
    best = np.flatnonzero(np.isclose(values, values.max(), rtol=1e-8, atol=1e-12))
    return int(best[0] if len(best) == 1 else rng.choice(best))
