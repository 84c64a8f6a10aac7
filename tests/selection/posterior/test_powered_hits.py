import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import FAILED, OUTSIDE
from vlmsel.selection.posterior.observation import hit_matrix, observe_hits
from vlmsel.selection.posterior.powered_hits import (
    agreement_controls,
    observe_powered_hits,
    power_hits,
)

ANSWERS = np.array(
    [
        [0, 1, 2, 0, 1, 2, 0, 1],
        [0, 1, 2, 0, 1, 1, 0, 2],
        [0, 1, 1, 0, 2, 2, 0, 1],
        [1, 1, 2, 2, 1, 0, 0, 0],
    ]
)
TRUTH = np.array([0, 1, 2, 2, 1, 2, 0, 1])
LABELLED = np.array([0, 2, 3, 5])
NAN = float("nan")


@pytest.fixture
def hits() -> np.ndarray:
    found, _ = hit_matrix(ANSWERS[:, LABELLED], TRUTH[LABELLED], 3)
    return found


def test_golden(hits):
    assert hits.mean(axis=0).tolist() == [0.75, 0.5, 0.5, 0.5]
    found = power_hits(hits, agreement_controls(ANSWERS, 3), LABELLED)
    np.testing.assert_allclose(found.factors, [0.159322, 0.425089], atol=5e-7)
    np.testing.assert_allclose(found.rates, [0.763306, 0.513272, 0.51329, 0.646104], atol=5e-7)
    assert found.raw_ratio == pytest.approx(0.724454, abs=5e-7)
    assert found.ratio == pytest.approx(0.908151, abs=5e-7)


def test_golden_with_the_share_alone(hits):
    found = power_hits(hits, agreement_controls(ANSWERS, 3)[:1], LABELLED)
    np.testing.assert_allclose(found.factors, [0.713489], atol=5e-7)
    np.testing.assert_allclose(found.rates, [0.809457, 0.559457, 0.559457, 0.678372], atol=5e-7)
    assert found.raw_ratio == pytest.approx(0.80884, abs=5e-7)
    assert found.ratio == pytest.approx(0.87256, abs=5e-7)


def test_the_observation_counts_more_labels(hits):
    powered = power_hits(hits, agreement_controls(ANSWERS, 3), LABELLED)
    found = observe_powered_hits(powered, hits)
    n = 4 / powered.ratio
    assert found.noise[0, 0] == pytest.approx(1 / (4 * (n + 0.5)))
    expected = np.arcsin(np.sqrt((powered.rates * n + 0.375) / (n + 0.75)))
    np.testing.assert_allclose(found.y, expected)


@given(seed=st.integers(0, 1000), n=st.integers(1, 12))
@settings(max_examples=25)
def test_all_images_labelled_gain_nothing(seed, n):
    rng = np.random.default_rng(seed)
    answers, truth = rng.integers(0, 3, (5, n)), rng.integers(0, 3, n)
    hits, _ = hit_matrix(answers, truth, 3)
    found = power_hits(hits, agreement_controls(answers, 3), np.arange(n))
    assert found.ratio == 1.0
    np.testing.assert_allclose(found.rates, hits.mean(axis=0))
    plain, powered = observe_hits(hits), observe_powered_hits(found, hits)
    np.testing.assert_allclose(powered.y, plain.y)
    np.testing.assert_allclose(powered.noise, plain.noise)


def test_two_labels_say_nothing_of_the_controls(hits):
    found = power_hits(hits[:2], agreement_controls(ANSWERS, 3), LABELLED[:2])
    assert found.ratio == 1.0
    assert found.factors.tolist() == [0.0, 0.0]


@given(seed=st.integers(0, 1000), order=st.permutations(range(5)))
@settings(max_examples=25)
def test_order_of_models_and_images_changes_nothing(seed, order):
    rng = np.random.default_rng(seed)
    answers, truth = rng.integers(0, 4, (5, 30)), rng.integers(0, 4, 30)
    chosen = rng.choice(30, 9, replace=False)
    hits, _ = hit_matrix(answers[:, chosen], truth[chosen], 4)
    found = power_hits(hits, agreement_controls(answers, 4), chosen)
    images = rng.permutation(30)
    moved_to = np.argsort(images)[chosen]
    turned = rng.permutation(9)
    moved = power_hits(
        hits[turned][:, order],
        agreement_controls(answers[order][:, images], 4),
        moved_to[turned],
    )
    np.testing.assert_allclose(moved.rates, found.rates[order], atol=1e-9)
    assert moved.ratio == pytest.approx(found.ratio)


def test_it_is_unbiased_and_less_noisy_where_the_majority_is_wrong():
    # Three models share a wrong belief, two are right: the vote ranks them upside down.
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    crowd = np.where(rng.random(400) < 0.7, 1 - truth, truth)
    answers = np.stack(
        [np.where(rng.random(400) < 0.9, crowd, 1 - crowd) for _ in range(3)]
        + [np.where(rng.random(400) < 0.85, truth, 1 - truth) for _ in range(2)]
    )
    controls = agreement_controls(answers, 2)
    accuracy = (answers == truth).mean(axis=1)
    errors, plain = [], []
    for _ in range(300):
        chosen = rng.choice(400, 30, replace=False)
        hits, _ = hit_matrix(answers[:, chosen], truth[chosen], 2)
        errors.append(power_hits(hits, controls, chosen).rates - accuracy)
        plain.append(hits.mean(axis=0) - accuracy)
    errors, plain = np.array(errors), np.array(plain)
    assert np.abs(errors.mean(axis=0)).max() < 0.02
    contrasts = [(x - x.mean(axis=1, keepdims=True)).var() for x in (errors, plain)]
    assert contrasts[0] < contrasts[1]


def test_failed_images_count_neither_for_the_model_nor_in_the_means():
    rng = np.random.default_rng(0)
    answers, truth = rng.integers(0, 3, (4, 20)), rng.integers(0, 3, 20)
    chosen = np.arange(6)
    answers[3] = FAILED
    hits, _ = hit_matrix(answers[:, chosen], truth[chosen], 3)
    found = power_hits(hits, agreement_controls(answers, 3), chosen)
    without = power_hits(hits[:, :3], agreement_controls(answers[:3], 3), chosen)
    np.testing.assert_allclose(found.rates[:3], without.rates)
    assert np.isnan(found.rates[3])
    assert found.ratio == pytest.approx(without.ratio)
    assert observe_powered_hits(found, hits).models.tolist() == [0, 1, 2]


def test_duplicates_get_controls_and_cast_no_vote():
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 3, (3, 20))
    doubled = np.vstack([answers, answers[:1]])
    alone = agreement_controls(answers, 3)
    found = agreement_controls(doubled, 3, votes=np.array([1.0, 1, 1, 0]))
    np.testing.assert_allclose(found[:, :3], alone)
    assert found.shape == (2, 4, 20)


def test_an_answer_outside_the_classes_agrees_with_nobody():
    answers = np.array([[OUTSIDE, 0], [OUTSIDE, 0], [1, 0]])
    found = agreement_controls(answers, 2)
    assert found[:, :2, 0].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_shapes_must_fit(hits):
    controls = agreement_controls(ANSWERS, 3)
    for wrong in (LABELLED[:3], np.array([0, 0, 1, 2])):
        with pytest.raises(SelectionError, match="one row of hits"):
            power_hits(hits, controls, wrong)


def test_controls_that_do_not_vary_are_ignored(hits):
    flat = np.ones((1, 4, 8))
    found = power_hits(hits, flat, LABELLED)
    np.testing.assert_allclose(found.rates, hits.mean(axis=0))
