import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.selection.posterior.mixture import condition
from vlmsel.selection.posterior.observation import observe_hits
from vlmsel.selection.posterior.prior import fit_prior
from vlmsel.selection.posterior.whole_target import observe_accuracies

NAN = float("nan")


def test_golden(sources, hits):
    found = condition(fit_prior(sources), observe_hits(hits))
    weights = "0.00828 0.026004 0.06345 0.120243 0.176918 0.202027 0.178978 0.122961 0.065483 "
    weights += "0.027021 0.008636"
    np.testing.assert_allclose(found.weights, [float(w) for w in weights.split()], atol=5e-7)
    np.testing.assert_allclose(found.score, [0.907848, 0.816016, 0.968455, 0.733467], atol=5e-7)
    np.testing.assert_allclose(found.accuracy, [0.6212, 0.5306, 0.6790, 0.4482], atol=5e-5)
    np.testing.assert_allclose(found.deviation, [0.11062, 0.11031, 0.11047, 0.11074], atol=5e-6)
    assert np.argsort(-found.score).tolist() == [2, 0, 1, 3]


def by_joint_gaussian(prior, s, observation):
    """Mean and covariance of x given y by inverting the joint precision: another road."""
    n = len(prior.mean)
    k = s**2 * prior.covariance + prior.level_variance
    a = prior.level + s * prior.mean
    select = np.eye(n)[observation.models]
    noise = np.linalg.inv(observation.noise + 1e-9 * np.eye(len(observation.y)))
    precision = np.linalg.inv(k) + select.T @ noise @ select
    covariance = np.linalg.inv(precision)
    return covariance @ (np.linalg.inv(k) @ a + select.T @ noise @ observation.y), covariance


def test_it_agrees_with_the_information_form(sources, hits):
    hits[0, 1] = NAN
    hits[:, 3] = NAN
    prior, seen = fit_prior(sources), observe_hits(hits)
    found = condition(prior, seen)
    for i, s in enumerate(prior.spreads):
        mean, covariance = by_joint_gaussian(prior, s, seen)
        np.testing.assert_allclose(found.means[i], mean, rtol=1e-6)
        np.testing.assert_allclose(found.covariances[i], covariance, rtol=1e-5, atol=1e-9)


def test_the_weights_are_the_evidence(sources, hits):
    from scipy.stats import multivariate_normal

    prior, seen = fit_prior(sources), observe_hits(hits)
    density = [
        np.exp(log_weight)
        * multivariate_normal(
            prior.level + s * prior.mean,
            s**2 * prior.covariance + prior.level_variance + seen.noise,
        ).pdf(seen.y)
        for s, log_weight in zip(prior.spreads, prior.log_weights, strict=True)
    ]
    np.testing.assert_allclose(
        condition(prior, seen).weights, np.array(density) / sum(density), rtol=1e-5
    )


def test_golden_with_holes(sources, hits):
    # A model in no source is ranked by its labels, one without predictions by the others.
    table = np.column_stack([sources, np.full(5, NAN)])
    table[0, 1] = NAN
    shown = np.column_stack([hits, hits[:, 2]])
    shown[:, 3] = NAN
    shown[0, 0] = NAN
    found = condition(fit_prior(table), observe_hits(shown))
    np.testing.assert_allclose(found.score, GOLDEN_SCORE, atol=5e-7)
    np.testing.assert_allclose(found.deviation, GOLDEN_DEVIATION, atol=5e-7)


GOLDEN_SCORE = [0.924247, 0.840341, 0.986851, 0.769453, 0.901196]
GOLDEN_DEVIATION = [0.117327, 0.11463, 0.114813, 0.12469, 0.114611]


def test_a_model_without_predictions_is_wider(sources, hits):
    prior = fit_prior(sources)
    full = condition(prior, observe_hits(hits))
    hits[:, 2] = NAN
    assert condition(prior, observe_hits(hits)).deviation[2] > full.deviation[2]


@given(order=st.permutations(range(4)))
@settings(max_examples=10)
def test_order_of_models_changes_nothing(order):
    rng = np.random.default_rng(0)
    sources, hits = rng.random((5, 4)), rng.integers(0, 2, (9, 4)).astype(float)
    found = condition(fit_prior(sources), observe_hits(hits))
    moved = condition(fit_prior(sources[:, order]), observe_hits(hits[:, order]))
    np.testing.assert_allclose(moved.score, found.score[order])
    np.testing.assert_allclose(moved.deviation, found.deviation[order])


@given(seed=st.integers(0, 1000), n=st.integers(1, 40), more=st.integers(1, 200))
@settings(max_examples=25)
def test_more_labels_narrow_every_spread(seed, n, more):
    rng = np.random.default_rng(seed)
    prior, hits = fit_prior(rng.random((6, 5))), rng.integers(0, 2, (n, 5)).astype(float)
    after = condition(prior, observe_hits(hits)).covariances
    then = condition(prior, observe_hits(hits, more=more)).covariances
    variances = [np.diagonal(part, axis1=1, axis2=2) for part in (after, then)]
    assert (variances[1] < variances[0] + 1e-12).all()


def test_the_prior_fades(sources):
    rng = np.random.default_rng(0)
    truth = np.array([0.2, 0.7, 0.4, 0.6])
    hits = (rng.random((5000, 4)) < truth).astype(float)
    found = condition(fit_prior(sources), observe_hits(hits))
    np.testing.assert_allclose(found.accuracy, hits.mean(axis=0), atol=0.01)


def test_observations_are_stacked(sources, hits):
    prior, seen, measured = (
        fit_prior(sources),
        observe_hits(hits),
        observe_accuracies(np.array([1]), np.array([0.7])),
    )
    found, other = condition(prior, seen, measured), condition(prior, measured, seen)
    np.testing.assert_allclose(found.score, other.score)
    assert found.accuracy[1] == pytest.approx(0.7, abs=0.01)
    assert (found.deviation < condition(prior, seen).deviation).all()


def test_nothing_seen_is_the_prior(sources):
    prior = fit_prior(sources)
    found = condition(prior)
    weights = np.exp(prior.log_weights)
    np.testing.assert_allclose(found.weights, weights / weights.sum())
    np.testing.assert_allclose(found.means[5], prior.level + prior.mean)


def test_draws_have_the_posteriors_moments(sources, hits):
    found = condition(fit_prior(sources), observe_hits(hits))
    draws = np.arcsin(np.sqrt(found.draw(40_000, np.random.default_rng(0))))
    np.testing.assert_allclose(draws.mean(axis=0), found.score, atol=0.003)
    np.testing.assert_allclose(draws.std(axis=0), found.deviation, atol=0.003)
