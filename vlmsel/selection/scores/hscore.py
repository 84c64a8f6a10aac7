"""H-score: variance between classes in units of the variance of features, and its shrunk form."""

from typing import Any

import numpy as np

from vlmsel.selection.scores.support.decomposition import Decomposition, decomposition_of
from vlmsel.selection.scores.support.label_groups import LabelGroups, labelled
from vlmsel.selection.scores.support.shrunk_covariance import ledoit_wolf


def hscore(features: Any, labels: Any, *, decomposition: Decomposition | None = None) -> float:
    """H = tr(pinv(Fc'Fc) G'G), 0 to C - 1, higher is better (arXiv 2212.10082, ICIP 2019).

    Fc are the centred features, G the class mean of each row: H is the sum over classes of the
    share of the class that lies in the space of the features. When n - 1 <= d that is all of it:
    C - 1 for any features, noise included. Use `hscore_shrunk` there.

    Args:
        features: (n, d).
        labels: (n,) classes.
        decomposition: of the same features, when made before.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    parts = decomposition_of(rows, decomposition)
    inside = _class_coordinates(parts, groups)
    return float(((inside**2).sum(axis=1) / groups.counts).sum())


def hscore_shrunk(
    features: Any, labels: Any, *, decomposition: Decomposition | None = None
) -> float:
    """H_a = tr(S_a^-1 (1 - a) cov(G)), higher is better (arXiv 2110.06893).

    S_a = (1 - a) S + a tr(S) / d I with Ledoit and Wolf's a; S with 1 / n, cov(G) with 1 / (n - 1).

    Args:
        features: (n, d).
        labels: (n,) classes.
        decomposition: of the same features, when made before.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    parts = decomposition_of(rows, decomposition)
    a = ledoit_wolf(parts)
    variances = parts.singular[: parts.rank] ** 2 / parts.n
    shrunk = (1 - a) * variances + a * variances.sum() / parts.d
    inside = _class_coordinates(parts, groups)
    between = (inside**2 / groups.counts[:, None]).sum(axis=0) * variances * parts.n
    return float((1 - a) / (parts.n - 1) * (between / shrunk).sum())


def _class_coordinates(parts: Decomposition, groups: LabelGroups) -> np.ndarray:
    """(C, rank): the classes' indicators on the left vectors of the centred features."""
    return groups.sums(parts.left_vectors[:, : parts.rank])
