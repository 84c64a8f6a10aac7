"""Margin: by how much the answer is more probable than the next class."""

import numpy as np

from vlmsel.selection.estimators.probabilities import drop_failed_images


def margin(probabilities: np.ndarray) -> float:
    """Return the mean over images of the largest less the second largest probability.

    Args:
        probabilities: (images, classes).
    """
    top = np.sort(drop_failed_images(probabilities), axis=1)
    return float((top[:, -1] - top[:, -2]).mean())
