"""Nuclear norm of the probabilities: large where a model is sure and uses many classes."""

import numpy as np

from vlmsel.selection.estimators.probabilities import drop_failed_images


def nuclear_norm(probabilities: np.ndarray) -> float:
    """Return the sum of the singular values over sqrt(N min(N, K)), its largest possible value.

    Args:
        probabilities: (images, classes), N x K.
    """
    table = drop_failed_images(probabilities)
    n, k = table.shape
    return float(np.linalg.norm(table, ord="nuc") / np.sqrt(n * min(n, k)))
