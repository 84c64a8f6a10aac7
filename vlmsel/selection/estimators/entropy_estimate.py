"""Negative entropy of the probabilities: near 0 where a model is sure."""

import numpy as np

from vlmsel.selection.estimators.probabilities import drop_failed_images


def negative_entropy(probabilities: np.ndarray) -> float:
    """Return the mean over images of sum_k p_k ln p_k.

    Args:
        probabilities: (images, classes).
    """
    from scipy.special import xlogy

    table = drop_failed_images(probabilities)
    return float(xlogy(table, table).sum(axis=1).mean())
