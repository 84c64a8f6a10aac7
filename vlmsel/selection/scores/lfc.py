"""LFC: agreement of the features' inner products with those of the labels (ECCV 2020)."""

from typing import Any

import numpy as np

from vlmsel.selection.scores.support.label_groups import labelled


def lfc(features: Any, labels: Any) -> float:
    """Correlation of the kernel K = F F' with S = +1 for pairs of one class, -1 for others.

    From sums alone, without the n x n matrices: sum K = |sum x|^2, sum K S = 2 sum_c |sum of
    class c|^2 - |sum x|^2, sum K^2 = |F'F|^2.

    Args:
        features: (n, d), as given.
        labels: (n,) classes.

    Returns:
        -1 to 1, higher is better; 0 where one of the kernels is constant.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    n, d = rows.shape
    gram = rows.T @ rows if d < n else rows @ rows.T
    total = (rows.sum(axis=0) ** 2).sum()
    agreed = 2 * (groups.sums(rows) ** 2).sum() - total
    signs = 2 * (groups.counts.astype(float) ** 2).sum() - n**2
    spread = (gram**2).sum() / n**2 - (total / n**2) ** 2
    label_spread = 1 - (signs / n**2) ** 2
    # Sums that cancel leave rounding: such a kernel is constant.
    if spread <= 1e-12 * (gram**2).sum() / n**2 or label_spread <= 0:
        return 0.0
    together = agreed / n**2 - total / n**2 * signs / n**2
    return float(together / np.sqrt(spread * label_spread))
