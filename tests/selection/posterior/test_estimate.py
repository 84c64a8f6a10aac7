import numpy as np

from vlmsel.selection.posterior import condition, fit_prior, observe_estimate
from vlmsel.selection.posterior.scale import to_scale

RNG = np.random.default_rng(0)
ACCURACY = RNG.uniform(0.2, 0.9, (8, 5))


def test_perfect_estimates_have_no_bias_and_the_least_noise():
    seen = observe_estimate(ACCURACY, ACCURACY, ACCURACY[0])
    np.testing.assert_allclose(seen.y, to_scale(ACCURACY[0]))
    np.testing.assert_allclose(seen.noise, 1 + 0.003 * np.eye(5), atol=1e-8)


def test_a_bias_between_models_is_taken_off_and_a_common_one_is_not():
    shift = np.array([0.1, -0.1, 0.0, 0.05, -0.05])
    biased = np.sin(to_scale(ACCURACY) - shift + 0.1) ** 2
    seen = observe_estimate(ACCURACY, biased, biased[0])
    np.testing.assert_allclose(seen.y, to_scale(ACCURACY[0]) + 0.1, atol=1e-12)


def test_unknown_models_and_sources_are_left_out():
    estimates = ACCURACY.copy()
    estimates[2] = np.nan
    estimates[3, 1] = np.nan
    target = ACCURACY[0].copy()
    target[4] = np.nan
    seen = observe_estimate(ACCURACY, estimates, target)
    assert seen.models.tolist() == [0, 1, 2, 3]
    assert np.isfinite(seen.noise).all()
    assert np.isfinite(condition(fit_prior(ACCURACY), seen).score).all()


def test_estimates_move_the_order_and_not_the_level():
    prior = fit_prior(ACCURACY)
    base = ACCURACY.mean(axis=0)
    up = condition(prior, observe_estimate(ACCURACY, ACCURACY, np.minimum(base + 0.05, 1))).score
    down = condition(prior, observe_estimate(ACCURACY, ACCURACY, base - 0.05)).score
    assert np.abs(up - down).max() < 0.05
