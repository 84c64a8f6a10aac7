"""TransRate: coding rate of the features less that within the classes (arXiv 2106.09362)."""

from typing import Any, Literal

import numpy as np

from vlmsel.selection.scores.support.decomposition import Decomposition, decomposition_of
from vlmsel.selection.scores.support.label_groups import labelled

Weighting = Literal["equal", "size"]


def transrate(
    features: Any,
    labels: Any,
    *,
    eps: float = 1e-4,
    weighting: Weighting = "equal",
    unit_rows: bool = False,
    decomposition: Decomposition | None = None,
) -> float:
    """TrR = R(Fc) - sum_c w_c R(Fc of class c), higher is better; it depends on the scale of F.

    R(Z) = 1/2 ln det(I + Z'Z / (rows of Z x eps)). It grows with d: noise of 512 dimensions beats
    good features of 64, so it compares models of one dimension only.

    Args:
        features: (n, d).
        labels: (n,) classes.
        eps: distortion (the square of the paper's letter).
        weighting: w_c = 1 / C, or the class's share of the images (the official code).
        unit_rows: scale the centred rows to length 1 (the official code).
        decomposition: of the same features, when made before.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    if unit_rows:
        centred = rows - rows.mean(axis=0)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        centred = centred / np.where(length > 0, length, 1.0)
        total = _coding_rate(centred, eps)
    else:
        parts = decomposition_of(rows, decomposition)
        centred = rows - parts.mean
        total = 0.5 * np.log1p(parts.singular**2 / (parts.n * eps)).sum()
    weights = groups.priors if weighting == "size" else np.full(groups.n_classes, 1.0)
    weights = weights / weights.sum()
    order = np.argsort(groups.codes, kind="stable")
    members = np.split(order, np.cumsum(groups.counts)[:-1])
    rates = np.array([_coding_rate(centred[rows_of], eps) for rows_of in members])
    return float(total - weights @ rates)


def _coding_rate(rows: np.ndarray, eps: float) -> float:
    """1/2 ln det(I + Z'Z / (n eps)) by the smaller of the two determinants."""
    n, d = rows.shape
    gram = (rows.T @ rows if d < n else rows @ rows.T) / (n * eps)
    gram[np.diag_indices(len(gram))] += 1.0
    return float(np.log(np.diag(np.linalg.cholesky(gram))).sum())
