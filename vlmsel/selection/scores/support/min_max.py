"""Scaling of a term over the zoo, for scores that are sums of scaled terms."""

import numpy as np


def min_max(values: np.ndarray) -> np.ndarray:
    """Scale to 0 .. 1; all 0 where the values do not differ."""
    spread = np.ptp(values)
    return (values - values.min()) / spread if spread > 0 else np.zeros_like(values, dtype=float)
