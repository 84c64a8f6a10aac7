"""Estimates of accuracy without labels as an observation, with noise learned on the sources."""

import numpy as np

from vlmsel.selection.posterior.observation import Observation
from vlmsel.selection.posterior.scale import to_scale
from vlmsel.selection.posterior.shrinkage import shrunk_covariance

# Of every estimate alone, and of the level that all share: it is not trusted.
OWN_NOISE, LEVEL_NOISE = 0.003, 1.0


def observe_estimate(
    accuracy: np.ndarray, estimates: np.ndarray, estimate: np.ndarray
) -> Observation:
    """Take estimates of a target as noisy values.

    e_sm = (f(A_sm) - mean_m f(A_sm)) - (f(a_sm) - mean_m f(a_sm)), f(p) = arcsin(sqrt(p)); y =
    f(a) + mean_s e with covariance shrunk(e) + .003 I + 1 11'.

    Args:
        accuracy: (sources, models), A; NaN where unknown.
        estimates: (sources, models), a on the sources, from as many images; NaN where unknown.
        estimate: (models,), a on the target; models of NaN are not observed.
    """
    truth, guess = to_scale(accuracy), to_scale(np.clip(estimates, 0.0, 1.0))
    known = np.isfinite(truth) & np.isfinite(guess)
    usable = known.any(axis=1)
    known = known[usable]
    difference = np.where(known, truth[usable] - guess[usable], np.nan)
    count = known.sum(axis=1, keepdims=True)
    level = np.where(known, difference, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
    errors = difference - level
    n = known.sum(axis=0)
    bias = np.where(known, errors, 0.0).sum(axis=0) / np.maximum(n, 1)
    noise = shrunk_covariance(errors - bias) + LEVEL_NOISE
    noise += OWN_NOISE * np.eye(len(noise))
    models = np.flatnonzero(np.isfinite(estimate))
    y = to_scale(np.clip(estimate[models], 0.0, 1.0)) + bias[models]
    return Observation(models, y, noise[np.ix_(models, models)])
