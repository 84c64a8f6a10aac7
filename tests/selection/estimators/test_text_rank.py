import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import text_similarity, text_weighted_ranks, text_weights

NAN = float("nan")


def test_golden():
    weights = text_weights(np.array([0.9, 0.1, 0.4]))
    np.testing.assert_allclose(weights, [0.761123, 0.069048, 0.169829], atol=5e-7)
    scores = text_weighted_ranks(weights, np.array([[1, 2, 3], [3, 2, 1], [2, 1, 3.0]]))
    np.testing.assert_allclose(scores, [1.307925, 1.830171, 2.861905], atol=5e-7)


def test_the_same_description_is_most_alike():
    sources = ["satellite satellite aerial land", "digit digit handwritten", ""]
    found = text_similarity("satellite satellite land cover", sources, 10, [45, 10, 10])
    assert found[0] > found[1]
    assert found[2] == pytest.approx(found[:2].mean())
    same = text_similarity("digit digit", ["digit digit"], 7, [7])
    assert same[0] == pytest.approx(1.0)


def test_numbers_of_classes_alone():
    found = text_similarity("a cat", ["one dog", "two dogs"], 10, [10, 100])
    np.testing.assert_allclose(found, [0.3, 0.3 * np.exp(-(np.log(10) ** 2) / 4.5)])


def test_without_any_text_all_sources_count_alike():
    found = text_similarity("", ["a dog", "cats"], 10, [10, 20])
    assert text_weights(found).tolist() == [0.5, 0.5]


def test_sources_that_do_not_know_a_model_have_no_say():
    ranks = np.array([[1.0, NAN, NAN], [3.0, 2.0, NAN]])
    found = text_weighted_ranks(np.array([0.25, 0.75]), ranks)
    np.testing.assert_allclose(found, [2.5, 2.0, NAN])


def test_every_source_needs_a_number_of_classes():
    with pytest.raises(SelectionError, match="every source"):
        text_similarity("a", ["b"], 2, [])
