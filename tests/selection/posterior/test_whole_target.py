import numpy as np
import pytest

from vlmsel.selection.posterior.mixture import condition
from vlmsel.selection.posterior.prior import fit_prior
from vlmsel.selection.posterior.whole_target import (
    expected_improvement,
    next_model,
    observe_accuracies,
)


def test_golden(sources):
    prior, measured = fit_prior(sources), observe_accuracies(np.array([2]), np.array([0.55]))
    found = condition(prior, measured)
    np.testing.assert_allclose(found.score, [0.767652, 0.695021, 0.835671, 0.614183], atol=5e-7)
    np.testing.assert_allclose(found.accuracy, [0.4823, 0.4101, 0.5502, 0.3321], atol=5e-5)
    np.testing.assert_allclose(found.deviation, [0.0868, 0.0776, 0.0100, 0.0861], atol=5e-5)
    improvement = expected_improvement(found, measured)
    np.testing.assert_allclose(improvement[[0, 1, 3]], [0.01078, 0.00108, 0.00014], atol=5e-6)
    assert next_model(found, measured) == 0


def test_a_model_is_measured_once_and_little_hope_ends_it(sources):
    prior = fit_prior(sources)
    measured = observe_accuracies(np.array([2, 0]), np.array([0.55, 0.54]))
    found = condition(prior, measured)
    assert next_model(found, measured, least=0.0) in (1, 3)
    assert next_model(found, measured) is None
    everything = observe_accuracies(np.arange(4), np.array([0.5, 0.4, 0.6, 0.3]))
    assert next_model(condition(prior, everything), everything, least=0.0) is None


def test_improvement_is_the_mean_of_what_is_above_the_best(sources):
    measured = observe_accuracies(np.array([2]), np.array([0.55]))
    found = condition(fit_prior(sources), measured)
    rng = np.random.default_rng(0)
    draws = rng.normal(found.score[0], found.deviation[0], 200_000)
    expected = np.maximum(draws - measured.y[0], 0).mean()
    assert expected_improvement(found, measured)[0] == pytest.approx(expected, rel=0.02)
