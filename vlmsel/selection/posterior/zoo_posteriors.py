"""Posterior scores of many zoos of one pool: each zoo has a prior of its own."""

import numpy as np

from vlmsel.selection.posterior.mixture import condition
from vlmsel.selection.posterior.observation import observe_hits
from vlmsel.selection.posterior.prior import fit_prior
from vlmsel.selection.posterior.spectrum import SpectralPrior, observe_draws


def zoo_scores(accuracy: np.ndarray, hits: np.ndarray, zoos: np.ndarray) -> np.ndarray:
    """Score the models of every zoo, whose level and spread on the sources are its own.

    Args:
        accuracy: (sources, models) of the pool, NaN where unknown.
        hits: (images, models) of the pool, NaN where an image failed.
        zoos: (zoos, models of a zoo), places in the pool.

    Returns:
        (zoos, models of a zoo), posterior means, higher is better.

    Raises:
        SelectionError: fewer than 2 sources know the models of a zoo.
    """
    scores = np.empty(zoos.shape)
    for row, zoo in enumerate(zoos):
        prior, shown = fit_prior(accuracy[:, zoo]), hits[:, zoo]
        if np.isfinite(shown).all() and len(shown):
            scores[row] = SpectralPrior(prior).condition(observe_draws(shown[None])).scores[0]
        else:
            scores[row] = condition(prior, observe_hits(shown)).score
    return scores
