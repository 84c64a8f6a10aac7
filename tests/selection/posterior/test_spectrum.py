import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.selection.posterior.advice import advise
from vlmsel.selection.posterior.mixture import condition
from vlmsel.selection.posterior.observation import observe_hits
from vlmsel.selection.posterior.prior import fit_prior
from vlmsel.selection.posterior.spectrum import SpectralPrior, observe_draws


@given(seed=st.integers(0, 10_000), n_models=st.integers(2, 9), n=st.integers(1, 60))
@settings(max_examples=25)
def test_it_equals_the_posterior_of_each_draw(seed, n_models, n):
    rng = np.random.default_rng(seed)
    prior = fit_prior(rng.random((5, n_models)))
    hits = rng.integers(0, 2, (3, n, n_models)).astype(float)
    seen = [observe_hits(draw) for draw in hits]
    found = SpectralPrior(prior).condition(observe_draws(hits))
    for i, draw in enumerate(seen):
        alone = condition(prior, draw)
        np.testing.assert_allclose(found.scores[i], alone.score, rtol=1e-6)
        np.testing.assert_allclose(found.weights[i], alone.weights, rtol=1e-5)


def test_its_draws_say_what_the_posteriors_say(sources, hits):
    prior, seen = fit_prior(sources), observe_draws(hits[None])
    fast, rng = SpectralPrior(prior), np.random.default_rng(0)
    many = fast.condition(seen)
    draws = fast.draw(seen, 0, many.weights[0], 100_000, rng)
    found = advise(draws, many.scores[0])
    np.testing.assert_allclose(found.p_best, [0.217, 0.007, 0.776, 0.000], atol=0.004)
    assert found.expected_regret == pytest.approx(0.0093, abs=0.0003)
    values = np.arcsin(np.sqrt(draws))
    expected = condition(prior, observe_hits(hits)).deviation
    np.testing.assert_allclose(values.std(axis=0), expected, atol=0.002)
