import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import FAILED, OUTSIDE
from vlmsel.selection.posterior.observation import (
    hit_correlation,
    hit_matrix,
    observe_counts,
    observe_hits,
)

NAN = float("nan")


def test_golden(hits):
    found = observe_hits(hits)
    np.testing.assert_allclose(found.y, [0.976030, 0.785398, 0.976030, 0.691830], atol=5e-7)
    np.testing.assert_allclose(np.diagonal(found.noise), 0.023810, atol=5e-7)
    assert hit_correlation(hits) == pytest.approx(0.330347, abs=5e-7)
    np.testing.assert_allclose(found.noise[0, 1], 0.330347 * 0.023810, atol=5e-7)


@given(
    hits=arrays(float, (7, 4), elements=st.sampled_from([0.0, 1.0])),
    order=st.permutations(range(7)),
    models=st.permutations(range(4)),
)
def test_order_of_images_and_models_changes_nothing(hits, order, models):
    found, moved = observe_hits(hits), observe_hits(hits[order][:, models])
    np.testing.assert_allclose(moved.y, found.y[models])
    np.testing.assert_allclose(moved.noise, found.noise[np.ix_(models, models)], atol=1e-15)


@given(hits=arrays(float, (9, 5), elements=st.sampled_from([0.0, 1.0])))
def test_the_correlation_is_that_of_all_pairs_together(hits):
    # Sum of the pairs' covariances over the sum of the products of their standard deviations.
    covariance = np.cov(hits.T, bias=True)
    sd = np.sqrt(np.diagonal(covariance))
    off = ~np.eye(5, dtype=bool)
    scale = np.outer(sd, sd)[off].sum()
    expected = np.clip(covariance[off].sum() / scale, 0, 0.95) if scale > 1e-9 else 0.0
    assert hit_correlation(hits) == pytest.approx(expected, abs=1e-9)


def test_few_images_or_no_variation_have_no_correlation(hits):
    assert hit_correlation(hits[:2]) == 0.0
    assert hit_correlation(np.ones((6, 4))) == 0.0
    assert hit_correlation(np.column_stack([hits[:, 0], np.ones((10, 3))])) == 0.0
    assert hit_correlation(np.repeat(hits[:, :1], 4, axis=1)) == 0.95


def test_failed_images_count_for_nobody_else(hits):
    hits[0, 2] = NAN
    found = observe_hits(hits)
    rho = hit_correlation(hits[1:])
    v, other = 1 / (4 * 9.5), 1 / (4 * 10.5)
    assert found.noise[2, 2] == pytest.approx(v)
    assert found.noise[0, 0] == pytest.approx(other)
    assert found.noise[0, 2] == pytest.approx(rho * np.sqrt(v * other))
    assert found.y[2] == pytest.approx(np.arcsin(np.sqrt((6 + 0.375) / 9.75)))


def test_a_model_without_predictions_is_not_observed(hits):
    full = observe_hits(hits[:, [0, 1, 3]])
    hits[:, 2] = NAN
    found = observe_hits(hits)
    assert found.models.tolist() == [0, 1, 3]
    np.testing.assert_allclose(found.noise, full.noise)


def test_more_labels_narrow_the_noise_and_keep_what_was_seen(hits):
    before, after = observe_hits(hits), observe_hits(hits, more=25)
    np.testing.assert_array_equal(before.y, after.y)
    np.testing.assert_allclose(after.noise, before.noise * 10.5 / 35.5)


def test_counts_need_not_be_whole():
    found = observe_counts(np.array([2.5, 0.0]), np.array([5.5, 0.0]), 0.3)
    assert found.models.tolist() == [0]
    assert found.y[0] == pytest.approx(np.arcsin(np.sqrt(2.875 / 6.25)))


def test_answers_become_hits():
    answers = np.array([[0, 1, 2, OUTSIDE], [FAILED, 1, 0, 1]])
    hits, dropped = hit_matrix(answers, np.array([0, 1, 5, 1]), 3)
    np.testing.assert_array_equal(hits, [[1, NAN], [1, 1], [0, 1]])
    assert dropped == 1


def test_an_answer_outside_the_classes_is_no_hit_on_an_image_in_none():
    hits, dropped = hit_matrix(np.array([[OUTSIDE, 0]]), np.array([-1, 0]), 2)
    assert hits.tolist() == [[1.0]]
    assert dropped == 1


def test_every_image_needs_a_label():
    with pytest.raises(SelectionError, match="one label per image"):
        hit_matrix(np.array([[0, 1]]), np.array([0]), 2)
