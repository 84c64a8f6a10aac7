import numpy as np
import pytest

from vlmsel.selection.posterior.advice import CHECKS, advise, is_enough, next_check
from vlmsel.selection.posterior.mixture import condition
from vlmsel.selection.posterior.observation import observe_hits
from vlmsel.selection.posterior.prior import fit_prior


def test_golden(sources, hits):
    found = condition(fit_prior(sources), observe_hits(hits))
    draws = found.draw(400_000, np.random.default_rng(0))
    told = advise(draws, found.score)
    np.testing.assert_allclose(told.p_best, [0.217, 0.007, 0.776, 0.000], atol=0.002)
    assert told.expected_regret == pytest.approx(0.0093, abs=0.0002)
    quantiles = [told.accuracy_low[2], np.median(draws[:, 2]), told.accuracy_high[2]]
    np.testing.assert_allclose(quantiles, [0.502, 0.679, 0.833], atol=0.002)


def test_golden_of_the_prior_alone(sources):
    found = condition(fit_prior(sources))
    told = advise(found.draw(400_000, np.random.default_rng(0)), found.score)
    np.testing.assert_allclose(told.p_best, [0.193, 0.016, 0.790, 0.001], atol=0.003)
    assert told.expected_regret == pytest.approx(0.0082, abs=0.0002)


def test_by_hand():
    draws = np.array([[0.5, 0.4, 0.1], [0.3, 0.6, 0.2]])
    found = advise(draws, np.array([1.0, 0.9, 0.1]), top=2)
    assert found.first == 0
    assert found.p_best.tolist() == [0.5, 0.5, 0.0]
    assert found.p_top.tolist() == [1.0, 1.0, 0.0]
    assert found.expected_regret == pytest.approx(0.15)
    assert found.rank_low.tolist() == [1, 1, 3]
    assert found.rank_high.tolist() == [2, 2, 3]


def test_intervals_are_rounded_outwards():
    rng = np.random.default_rng(0)
    draws = rng.random((999, 6))
    found = advise(draws, np.zeros(6))
    ranks = (-draws).argsort(axis=1).argsort(axis=1) + 1
    held = ((ranks >= found.rank_low) & (ranks <= found.rank_high)).mean(axis=0)
    assert (held >= 0.95).all()


def test_the_verdict_changes_at_the_checks_only():
    assert is_enough(0.019, 5)
    assert not is_enough(0.019, 6)
    assert not is_enough(0.02, 10)
    assert is_enough(0.03, 10, tolerance=0.04)
    assert is_enough(0.001, 10_000)


def test_the_next_check():
    assert [next_check(n) for n in (0, 5, 11, 199, 200)] == [5, 10, 15, 200, None]
    assert list(CHECKS) == sorted(set(CHECKS))
