import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from vlmsel.selection.score_arrays import (
    pooled_divergence,
    source_weights,
    weighted_ranks,
    weights_of_known,
    zoo_ranks,
)

NAN = float("nan")


def test_best_is_1_and_ties_share():
    found = zoo_ranks(np.array([[0.9], [0.5], [0.5], [0.1]]))
    assert found.ravel().tolist() == [1.0, 2.5, 2.5, 4.0]


def test_ranks_of_a_source_that_knows_few_are_stretched():
    # 2 of 4 known: ranks 1, 2 -> (1/2) * 2 + 1/2, (3/2) * 2 + 1/2.
    found = zoo_ranks(np.array([[0.9], [NAN], [0.5], [NAN]]))
    np.testing.assert_array_equal(found.ravel(), [1.5, NAN, 3.5, NAN])


def test_a_source_that_knows_one_model_says_nothing_of_it():
    # The middle of 1 .. 5.
    found = zoo_ranks(np.array([[NAN], [0.2], [NAN], [NAN], [NAN]]))
    assert found[1, 0] == 3.0


@given(accuracy=arrays(float, (3, 5, 4), elements=st.floats(0, 1)))
@settings(max_examples=30, deadline=None)
def test_every_zoo_is_ranked_alone(accuracy):
    found = zoo_ranks(accuracy)
    for zoo, source in np.ndindex(3, 4):
        expected = rankdata(-accuracy[zoo, :, source])
        np.testing.assert_allclose(found[zoo, :, source], expected)


def test_unknown_divergences_weigh_nothing():
    found = source_weights(np.array([[1.0, NAN, 2.0], [NAN, NAN, NAN]]), np.log(3))
    np.testing.assert_allclose(found[0], [0.75, 0.0, 0.25])
    assert np.isnan(found[1]).all()


def test_weights_move_to_the_sources_that_know_the_model():
    ranks = np.array([[1.0, 2.0, 3.0], [1.0, NAN, 3.0], [NAN, NAN, NAN]])
    found = weights_of_known(np.array([0.5, 0.25, 0.25]), ranks)
    np.testing.assert_allclose(found[0], [0.5, 0.25, 0.25])
    np.testing.assert_allclose(found[1], [2 / 3, NAN, 1 / 3])
    assert np.isnan(found[2]).all()
    scores = weighted_ranks(found, ranks)
    np.testing.assert_allclose(scores, [1.75, 5 / 3, NAN])


def test_pool_averages_what_is_known():
    found = pooled_divergence(np.array([[1.0, NAN, NAN], [3.0, 4.0, NAN]]))
    np.testing.assert_array_equal(found, [[2.0, 4.0, NAN]])


def test_no_warning_for_a_pool_without_models_that_know(recwarn):
    pooled_divergence(np.full((2, 3), NAN))
    source_weights(np.full((2, 3), NAN), 1.0)
    assert [str(w.message) for w in recwarn] == []


def test_a_zero_gamma_weighs_known_sources_alike():
    assert source_weights(np.array([5.0, NAN, 9.0]), 0.0) == pytest.approx([0.5, 0.0, 0.5])
