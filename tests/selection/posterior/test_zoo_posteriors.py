import numpy as np

from vlmsel.selection.posterior.mixture import condition
from vlmsel.selection.posterior.observation import observe_hits
from vlmsel.selection.posterior.prior import fit_prior
from vlmsel.selection.posterior.zoo_posteriors import zoo_scores


def test_each_zoo_is_scored_as_if_it_were_alone():
    rng = np.random.default_rng(0)
    accuracy, hits = rng.random((5, 7)), rng.integers(0, 2, (12, 7)).astype(float)
    accuracy[2, 3] = np.nan
    zoos = np.array([[0, 2, 3, 5], [6, 5, 1, 0]])
    for shown in (hits, np.where(rng.random(hits.shape) < 0.1, np.nan, hits)):
        found = zoo_scores(accuracy, shown, zoos)
        for row, zoo in zip(found, zoos, strict=True):
            expected = condition(fit_prior(accuracy[:, zoo]), observe_hits(shown[:, zoo])).score
            np.testing.assert_allclose(row, expected, rtol=1e-6)
