"""Shrinkage estimate of a covariance from few samples (Schaefer & Strimmer 2005), with holes."""

import numpy as np

# Models that fewer samples know have no covariance of their own.
ENOUGH_SAMPLES = 3
LEAST_VARIANCE = 1e-10


def shrunk_covariance(deviation: np.ndarray) -> np.ndarray:
    """Shrink correlations towards 0 and variances towards their median.

    With x the deviations, n samples, v_i = sum x_i^2 / (n - 1) and r the correlations of the x:
    lambda_c = min(1, sum_{i!=j} Var(r_ij) / sum_{i!=j} r_ij^2), r_ij <- (1 - lambda_c) r_ij;
    lambda_v = min(1, sum_i Var(v_i) / sum_i (v_i - median v)^2), v_i <- lambda_v median v +
    (1 - lambda_v) v_i, at least 1e-10. Var of a mean product w_k is n / (n - 1)^3 sum_k (w_k -
    mean w)^2.

    Args:
        deviation: (samples, variables), each variable's mean already taken off; NaN where a sample
            does not know the variable. Such a hole counts as no deviation, so that covariances
            shrink. A variable that fewer than 3 samples know has the median variance and no
            correlation; with fewer than 3 samples that is every variable.

    Returns:
        (variables, variables).
    """
    known = np.isfinite(deviation)
    x = np.where(known, deviation, 0.0)
    n = max(len(x), 2)
    count = known.sum(axis=0)
    usual = count >= min(ENOUGH_SAMPLES, max(2, int(count.max(initial=0))))
    variance = (x**2).sum(axis=0) / (n - 1)
    median = float(np.median(variance[usual])) if usual.any() else 0.0
    covariance = np.diag(np.full(x.shape[1], max(median, LEAST_VARIANCE)))
    measured = np.flatnonzero(count >= ENOUGH_SAMPLES)
    if len(measured):
        covariance[np.ix_(measured, measured)] = _shrunk(x[:, measured], median)
    return covariance


def _shrunk(x: np.ndarray, median: float) -> np.ndarray:
    n = len(x)
    variance = (x**2).sum(axis=0) / (n - 1)
    unit = x / np.sqrt(np.where(variance > 0, variance, 1.0))
    correlation = unit.T @ unit / (n - 1)
    np.fill_diagonal(correlation, 0.0)
    spread = _variance_of_products(unit)
    np.fill_diagonal(spread, 0.0)
    share = _intensity(spread.sum(), (correlation**2).sum())
    noise = np.diagonal(_variance_of_products(x)).sum()
    share_v = _intensity(noise, ((variance - median) ** 2).sum())
    shrunk = np.maximum(share_v * median + (1 - share_v) * variance, LEAST_VARIANCE)
    full = (1 - share) * correlation
    np.fill_diagonal(full, 1.0)
    return full * np.sqrt(np.outer(shrunk, shrunk))


def _variance_of_products(x: np.ndarray) -> np.ndarray:
    """N / (n - 1)^3 sum_k (x_ki x_kj - mean_k)^2 for every i, j, as two matrix products."""
    n = len(x)
    square = x**2
    sums = square.T @ square - (x.T @ x) ** 2 / n
    return n / (n - 1) ** 3 * np.maximum(sums, 0.0)


def _intensity(noise: float, signal: float) -> float:
    """Share of the target in the estimate: all of it where nothing differs from the target."""
    return min(1.0, float(noise / signal)) if signal > 0 else 1.0
