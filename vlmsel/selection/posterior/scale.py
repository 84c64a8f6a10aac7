"""Scale of the posterior, on which a hit rate is about equally noisy for every accuracy."""

import numpy as np


def to_scale(accuracy: np.ndarray) -> np.ndarray:
    """Return arcsin(sqrt(p)); NaN stays NaN."""
    return np.arcsin(np.sqrt(accuracy))


def to_accuracy(value: np.ndarray) -> np.ndarray:
    """Return sin(x)^2, the inverse of `to_scale`; values beyond the scale's ends become 0 and 1."""
    return np.sin(np.clip(value, 0.0, np.pi / 2)) ** 2
