"""VMA: disagreement pair by pair, LURE by hand, and unbiased contrasts between models."""

from itertools import combinations

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.orders import Labelled, Pool
from vlmsel.selection.orders.vma import (
    disagreement,
    lure_weights,
    next_image,
    weighted_accuracy,
)


def test_disagreement_is_the_sum_over_pairs(pool):
    belief = pool.probabilities.mean(axis=0)
    loss = np.array([1 - belief[np.arange(40), row] for row in pool.classes])
    slow = sum(np.abs(loss[i] - loss[j]) for i, j in combinations(range(4), 2))
    np.testing.assert_allclose(disagreement(pool), slow, atol=1e-12)


def test_answers_alone_stand_for_their_shares():
    pool = Pool(np.array([[0, 0], [0, 1], [0, 1]]), 2)
    # Image 1: losses 2/3, 1/3, 1/3; two pairs differ by a third.
    np.testing.assert_allclose(disagreement(pool), [0, 2 / 3], atol=1e-12)


def test_lure_by_hand():
    # N = 3, M = 2: the first has chance 1/2, the second 1/3 of what remains.
    found = lure_weights(np.array([2.0, 1.0, 1.0]), (0, 1))
    np.testing.assert_allclose(found, [1 + (1 / 2) * (1 / (3 / 2) - 1), 1 + (1 / (2 / 2) - 1)])
    # With all images drawn every weight is 1.
    np.testing.assert_allclose(lure_weights(np.array([2.0, 1.0, 1.0]), (2, 0, 1)), 1.0)


def test_equal_chances_weigh_nothing():
    np.testing.assert_allclose(lure_weights(np.ones(5), (4, 0, 2)), 1.0)


def test_contrasts_between_models_are_unbiased(pool, truth):
    rng = np.random.default_rng(0)
    hits = (pool.classes == truth).mean(axis=1)
    found = []
    for _ in range(400):
        labelled = Labelled()
        for _ in range(4):
            image = next_image(pool, labelled, rng)
            labelled = labelled.adding(image, int(truth[image]))
        found.append(weighted_accuracy(pool, labelled))
    contrasts = np.array(found) - np.mean(found, axis=1, keepdims=True)
    error = contrasts.std(axis=0) / np.sqrt(len(found))
    assert (np.abs(contrasts.mean(axis=0) - (hits - hits.mean())) < 4 * error).all()


def test_an_image_without_a_chance_is_refused():
    pool = Pool(np.array([[0, 0], [0, 1], [0, 1]]), 2)
    with pytest.raises(SelectionError, match="image 0 cannot have been picked by vma"):
        weighted_accuracy(pool, Labelled((0,), (0,)))
    agreed = Pool(np.array([[0, 1], [0, 1]]), 2)
    assert next_image(agreed, Labelled(), np.random.default_rng(0)) in (0, 1)
