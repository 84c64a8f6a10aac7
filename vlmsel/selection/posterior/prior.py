"""Prior of a new task: how the models move together on the source tasks."""

from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.posterior.scale import to_scale
from vlmsel.selection.posterior.shrinkage import shrunk_covariance

# Fewer sources say nothing of how models move together: only labels count.
MIN_SOURCES = 2
LEAST_SPREAD = 1e-3
LEVEL_VARIANCE = 0.01
STEPS = np.arange(-2.5, 2.75, 0.5)


@dataclass(frozen=True)
class Prior:
    """y = c + s z on a new task, with z ~ N(mean, covariance), c ~ N(level, level_variance).

    Attributes:
        mean: (models,), mean deviation of each model from the zoo, in units of a source's spread.
        covariance: (models, models).
        level: mean of the sources' levels.
        level_variance: their variance + 0.01.
        spreads: (grid,), values of s.
        log_weights: (grid,), log prior weight of each, up to a constant.
        source_spreads: (sources,), h: the half scaling of each source.
        n_sources: sources that know at least one model.
    """

    mean: np.ndarray
    covariance: np.ndarray
    level: float
    level_variance: float
    spreads: np.ndarray
    log_weights: np.ndarray
    source_spreads: np.ndarray
    n_sources: int


def fit_prior(accuracy: np.ndarray, mean: np.ndarray | None = None) -> Prior:
    """Fit the prior to the accuracies on the sources.

    On the scale arcsin(sqrt(p)), source s has a level m_s and a spread d_s (population standard
    deviation over the models, at least 1e-3). Half scaling: h_s = sqrt(d_s) over its geometric
    mean; z = (y - m_s) / h_s. Covariance of z: `shrunk_covariance`.

    Args:
        accuracy: (sources, models), 0..1; NaN where a source does not know a model. A model that no
            source knows has mean 0, the median variance and no correlation.
        mean: (models,), to be used in place of the mean of z over the sources that know a model.

    Raises:
        SelectionError: fewer than 2 sources know any model, or an accuracy is no share of 1.
    """
    table = np.asarray(accuracy, dtype=float)
    known = np.isfinite(table)
    if ((table < 0) | (table > 1)).any():
        raise SelectionError("accuracies of the sources must be shares of 1, 0 to 1")
    if table.ndim != 2 or known.any(axis=1).sum() < MIN_SOURCES:
        raise SelectionError(
            f"a prior needs {MIN_SOURCES} sources that know the models, there are "
            f"{int(known.any(axis=1).sum()) if table.ndim == 2 else 0}; rank by the labels alone"
        )
    is_known = known.any(axis=1)
    y, known = to_scale(table[is_known]), known[is_known]
    level, spread = _level_and_spread(y, known)
    h = np.sqrt(spread)
    h = h / np.exp(np.log(h).mean())
    z = (y - level[:, None]) / h[:, None]
    own_mean = _mean_of_known(z, known)
    tau = float(np.log(h).std())
    # Equal spreads differ in the last digits after the logarithm.
    steps = STEPS if tau > 1e-12 else np.zeros(1)
    return Prior(
        mean=own_mean if mean is None else np.asarray(mean, dtype=float),
        covariance=shrunk_covariance(z - own_mean),
        level=float(level.mean()),
        level_variance=float(level.var()) + LEVEL_VARIANCE,
        spreads=np.exp(tau * steps),
        log_weights=-(steps**2) / 2,
        source_spreads=h,
        n_sources=len(y),
    )


def _level_and_spread(y: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of every source over the models that it knows."""
    count = known.sum(axis=1)
    level = np.where(known, y, 0.0).sum(axis=1) / count
    deviation = np.where(known, y - level[:, None], 0.0)
    return level, np.maximum(np.sqrt((deviation**2).sum(axis=1) / count), LEAST_SPREAD)


def _mean_of_known(z: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean over the sources that know a model, 0 for a model that none knows."""
    return np.where(known, z, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
