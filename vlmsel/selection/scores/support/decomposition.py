"""One singular value decomposition of a model's features, which all closed-form scores share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.label_groups import check_features


@dataclass(frozen=True)
class Decomposition:
    """F - mean = left diag(singular) right, thin.

    Attributes:
        n: number of images.
        d: number of dimensions.
        mean: (d,) column means.
        left_vectors: (n, k), k = min(n, d).
        singular: (k,), falling.
        right_vectors: (k, d).
    """

    n: int
    d: int
    mean: np.ndarray
    left_vectors: np.ndarray
    singular: np.ndarray
    right_vectors: np.ndarray

    @cached_property
    def rank(self) -> int:
        """Number of singular values above max(n, d) eps times the largest.

        For features far from the origin, rounding in the mean counts as zero, too.
        """
        largest = max(self.singular[0], np.linalg.norm(self.mean) * np.sqrt(self.n))
        noise = max(self.n, self.d) * np.finfo(float).eps * largest
        return int((self.singular > noise).sum())

    def principal(self, k: int) -> np.ndarray:
        """Return the (n, min(k, n - 1, d)) coordinates on the first principal axes."""
        k = min(k, self.n - 1, self.d)
        return self.left_vectors[:, :k] * self.singular[:k]

    def spread(self) -> np.ndarray:
        """Return the (n, rank) centred features in a rotated basis: distances are those of F."""
        return self.left_vectors[:, : self.rank] * self.singular[: self.rank]

    @cached_property
    def uncentred(self) -> tuple[np.ndarray, np.ndarray]:
        """Singular values of F itself, and its left vectors in the basis (U, 1 / sqrt(n)).

        F = [U, 1 / sqrt(n)] [[diag(singular) V], [sqrt(n) mean]] with U the left and V the right
        vectors, and 1 is orthogonal to U: a decomposition of the small matrix is one of F.
        """
        right = self.right_vectors[: self.rank]
        inside = right @ self.mean
        outside = np.linalg.norm(self.mean - inside @ right)
        small = np.zeros((self.rank + 1, self.rank + 1))
        small[np.arange(self.rank), np.arange(self.rank)] = self.singular[: self.rank]
        small[-1, :-1] = np.sqrt(self.n) * inside
        small[-1, -1] = np.sqrt(self.n) * outside
        axes, singular, _ = svd(small)
        known = singular > max(self.n, self.d) * np.finfo(float).eps * singular[0]
        return singular[known], axes[:, known]


def decompose(features: np.ndarray) -> Decomposition:
    """Decompose the centred features of one model.

    Args:
        features: (n, d), finite.

    Raises:
        SelectionError: the features are no finite matrix.
    """
    rows = check_features(features)
    mean = rows.mean(axis=0)
    left_vectors, singular, right_vectors = svd(rows - mean)
    # The largest entry of each axis is positive: PARC's row means depend on the signs.
    axes = np.arange(len(right_vectors))
    sign = np.where(right_vectors[axes, np.abs(right_vectors).argmax(axis=1)] < 0, -1.0, 1.0)
    n, d = rows.shape
    return Decomposition(n, d, mean, left_vectors * sign, singular, right_vectors * sign[:, None])


def decomposition_of(features: np.ndarray, decomposition: Decomposition | None) -> Decomposition:
    """Return the decomposition that was made before, or make it.

    Raises:
        SelectionError: it was made of features of another shape.
    """
    if decomposition is None:
        return decompose(features)
    if (decomposition.n, decomposition.d) != features.shape:
        raise SelectionError(
            f"the decomposition is of {decomposition.n} x {decomposition.d} features, these are "
            f"{features.shape[0]} x {features.shape[1]}; decompose the features that are scored"
        )
    return decomposition


def svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thin decomposition by divide and conquer, or by the slower QR iteration where that fails."""
    try:
        return linalg.svd(matrix, full_matrices=False, check_finite=False)
    except linalg.LinAlgError:
        return linalg.svd(matrix, full_matrices=False, check_finite=False, lapack_driver="gesvd")
