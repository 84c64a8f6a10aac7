"""GBC: overlap of the classes as Gaussians, by Bhattacharyya's coefficient (arXiv 2111.12780)."""

from typing import Any, Literal

import numpy as np
from scipy.special import logsumexp

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.decomposition import Decomposition, decomposition_of
from vlmsel.selection.scores.support.label_groups import LabelGroups, labelled

Covariance = Literal["spherical", "diagonal", "spherical-d"]
DIMENSIONS = 64
FLOOR = 1e-4
# Numbers at a time in the largest array: 64 MB.
CHUNK = 8_000_000


def gbc(
    features: Any,
    labels: Any,
    *,
    covariance: Covariance = "spherical",
    dimensions: int | None = DIMENSIONS,
    unit_variance: bool = False,
    log_scale: bool = False,
    decomposition: Decomposition | None = None,
    chunk: int = CHUNK,
) -> float:
    """GBC = - sum over i != j of exp(-D_ij), -C (C - 1) to 0, higher is better.

    D_ij = 1/8 sum (mu_i - mu_j)^2 / v + 1/2 sum [ln v - 1/2 ln v_i - 1/2 ln v_j],
    v = (v_i + v_j) / 2. Variances are at least 1e-4 in the units of the features: rows normalised
    to length 1 fall under it, so set `unit_variance` for them.

    Args:
        features: (n, d).
        labels: (n,) classes.
        covariance: "diagonal"; "spherical": one variance a class, the mean, with the logarithm
            once, as the reference has it; "spherical-d": the same with the logarithm d times.
        dimensions: principal components kept; None for all columns as they are.
        unit_variance: scale the features to a mean variance of 1 first.
        log_scale: return -ln(-GBC), which tells well separated classes apart where GBC rounds to 0.
        decomposition: of the same features, when made before.
        chunk: numbers at a time in the largest array; the score does not depend on it.

    Raises:
        SelectionError: features or labels cannot be scored, or the classes overlap nowhere within
            the range of floating point numbers and `log_scale` is not set.
    """
    rows, groups = labelled(features, labels)
    if dimensions is not None and dimensions < 1:
        raise SelectionError(f"GBC in {dimensions} dimensions is impossible; give 1 or more")
    if dimensions is not None:
        rows = decomposition_of(rows, decomposition).principal(dimensions)
    if unit_variance:
        spread = rows.var(axis=0).mean()
        rows = rows / np.sqrt(spread) if spread > 0 else rows
    means = groups.means(rows)
    variances = _variances(rows, groups, means)
    if covariance != "diagonal":
        variances = np.broadcast_to(variances.mean(axis=1, keepdims=True), (groups.n_classes, 1))
    times = rows.shape[1] if covariance == "spherical-d" else 1
    overlap = _log_overlap(means, variances, times, chunk)
    return float(-overlap) if log_scale else float(-np.exp(overlap))


def _variances(rows: np.ndarray, groups: LabelGroups, means: np.ndarray) -> np.ndarray:
    """(C, d) variances of each class with 1 / n_c, at least the floor."""
    return np.maximum(groups.means((rows - means[groups.codes]) ** 2), FLOOR)


def _log_overlap(means: np.ndarray, variances: np.ndarray, times: int, chunk: int) -> float:
    """Ln of the sum over ordered pairs of exp(-D), in chunks of rows."""
    classes, d = means.shape
    step = max(1, chunk // (classes * d))
    logs = np.log(variances)
    parts = []
    for first in range(0, classes, step):
        part = slice(first, first + step)
        v = (variances[part, None] + variances[None]) / 2
        shift = ((means[part, None] - means[None]) ** 2 / v).sum(axis=2) / 8
        wider = np.log(v) - logs[part, None] / 2 - logs[None] / 2
        distance = shift + times * wider.sum(axis=2) / 2
        distance[np.arange(len(distance)), np.arange(len(distance)) + first] = np.inf
        parts.append(logsumexp(-distance))
    return float(np.asarray(logsumexp(parts)))
