"""LFC: agreement of the features' inner products with those of the labels (ECCV 2020)."""

from typing import Any

import numpy as np

from vlmsel.selection.scores.support.label_groups import labelled


def lfc(features: Any, labels: Any) -> float:
    """Correlation of the kernel F F' with +1 for pairs of one class, -1 for others.

    Args:
        features: (n, d), as given.
        labels: (n,) classes.

    Returns:
        -1 to 1, higher is better; 0 where one of the kernels is constant.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    kernel = (rows @ rows.T).ravel()
    same = np.where(groups.codes[:, None] == groups.codes, 1.0, -1.0).ravel()
    if np.ptp(kernel) == 0 or np.ptp(same) == 0:
        return 0.0
    return float(np.corrcoef(kernel, same)[0, 1])
