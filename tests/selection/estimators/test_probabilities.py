import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import (
    confidence,
    margin,
    negative_entropy,
    nuclear_norm,
)

BY_PROBABILITY = [confidence, margin, negative_entropy, nuclear_norm]


@pytest.mark.parametrize("score", BY_PROBABILITY)
def test_images_that_failed_are_left_out(score, probabilities):
    longer = np.vstack([probabilities[0], np.full((1, 3), np.nan)])
    assert score(longer) == score(probabilities[0])


@pytest.mark.parametrize("score", BY_PROBABILITY)
def test_order_of_images_and_classes_changes_nothing(score, probabilities):
    table = probabilities[0]
    assert score(table[::-1][:, [2, 0, 1]]) == pytest.approx(score(table))


@pytest.mark.parametrize("score", BY_PROBABILITY)
@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (np.full((2, 3), np.nan), "no probabilities"),
        (np.array([[0.5, 0.9]]), "sum to 1"),
        (np.array([[1.5, -0.5]]), "sum to 1"),
        (np.ones((3, 1)), "2 classes"),
    ],
)
def test_impossible_probabilities(score, table, fault):
    with pytest.raises(SelectionError, match=fault):
        score(table)
