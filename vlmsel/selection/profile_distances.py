"""Plain distances between task profiles, to compare DCD with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vlmsel.selection.array_divergences import Divergence

Distance = Literal["symmetric-l1", "cosine", "jensen-shannon"]


@dataclass(frozen=True)
class PlainDistance(Divergence):
    """A distance by name.

    Attributes:
        name: `symmetric-l1`, 2 sum|t - s| / sum(|t| + |s|): DCD without direction and without block
            importance; `cosine`, 1 - <t, s> / (||t|| ||s||); `jensen-shannon`,
            H((p + q) / 2) - (H(p) + H(q)) / 2 in nats, with p and q the absolute profiles over
            their sums.
    """

    name: Distance

    def between(self, t: np.ndarray, s: np.ndarray) -> np.ndarray:
        """See `Divergence.between`."""
        return DISTANCES[self.name](t, s)


def _symmetric_l1(t: np.ndarray, s: np.ndarray) -> np.ndarray:
    total = np.abs(t).sum(axis=-1) + np.abs(s).sum(axis=-1)
    return 2 * np.abs(t - s).sum(axis=-1) / total


def _cosine(t: np.ndarray, s: np.ndarray) -> np.ndarray:
    norms = np.sqrt((t * t).sum(axis=-1)) * np.sqrt((s * s).sum(axis=-1))
    return 1 - np.einsum("...b,...b->...", t, s) / norms


def _jensen_shannon(t: np.ndarray, s: np.ndarray) -> np.ndarray:
    p, q = (np.abs(x) / np.abs(x).sum(axis=-1, keepdims=True) for x in (t, s))
    mixed = _entropy((p + q) / 2)
    # Rounding can leave a difference just below zero where the profiles are the same.
    return np.maximum(mixed - (_entropy(p) + _entropy(q)) / 2, 0.0)


def _entropy(x: np.ndarray) -> np.ndarray:
    known = np.where(x == 0, 1.0, x)  # 0 log 0 is 0
    return -(known * np.log(known)).sum(axis=-1)


DISTANCES: dict[Distance, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "symmetric-l1": _symmetric_l1,
    "cosine": _cosine,
    "jensen-shannon": _jensen_shannon,
}
