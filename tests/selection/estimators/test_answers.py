import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import (
    FAILED,
    OUTSIDE,
    dawid_skene,
    one_coin,
    pair_agreement,
    vote,
)

BY_ANSWERS = [
    vote,
    pair_agreement,
    dawid_skene,
    lambda answers, k, votes=None: one_coin(answers, k, votes=votes).accuracy,
]


@pytest.mark.parametrize("score", BY_ANSWERS)
def test_order_of_models_and_images_changes_nothing(score):
    rng = np.random.default_rng(0)
    answers = rng.integers(OUTSIDE, 4, (6, 40))
    models, images = rng.permutation(6), rng.permutation(40)
    moved = score(answers[models][:, images], 4)
    np.testing.assert_allclose(moved, score(answers, 4)[models], atol=1e-5)


@pytest.mark.parametrize("score", BY_ANSWERS)
def test_a_duplicate_without_a_vote_changes_nothing(score, answers):
    doubled = np.vstack([answers, answers[:1]])
    found = score(doubled, 3, votes=np.array([1, 1, 1, 1, 0.0]))
    np.testing.assert_allclose(found[:4], score(answers, 3), atol=1e-5)


@pytest.mark.parametrize("score", BY_ANSWERS)
def test_an_image_that_failed_for_all_changes_nothing(score, answers):
    longer = np.column_stack([answers, np.full(4, FAILED)])
    found = score(longer, 3)
    # Dawid-Skene's class shares have one uncertain image more.
    np.testing.assert_allclose(found, score(answers, 3), atol=0.05)
    assert np.argsort(found).tolist() == np.argsort(score(answers, 3)).tolist()


@pytest.mark.parametrize("score", BY_ANSWERS)
def test_a_model_that_failed_has_no_score(score, answers):
    answers[2] = FAILED
    found = score(answers, 3)
    assert np.isnan(found[2])
    assert np.isfinite(found[[0, 1, 3]]).all()


@pytest.mark.parametrize("score", BY_ANSWERS)
def test_impossible_answers(score, answers):
    with pytest.raises(SelectionError, match="2 or more"):
        score(answers, 1)
    with pytest.raises(SelectionError, match="-2 to 1"):
        score(answers, 2)
    with pytest.raises(SelectionError, match="whole class numbers"):
        score(answers + 0.5, 3)
    with pytest.raises(SelectionError, match="votes"):
        score(answers, 3, votes=np.ones(3))
