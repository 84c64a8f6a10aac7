"""Text features on vectors by hand, and F1 against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from vlmsel.errors import SelectionError
from vlmsel.selection.texts.text_features import TEXT_FEATURES, macro_f1, text_features
from vlmsel.selection.texts.text_view import TextView


def view(**changed) -> TextView:
    """Two classes at a right angle; a caption on each, one of them 3-4-5 between both."""
    parts = {
        "names": ("cat", "dog"),
        "classes": np.array([[1.0, 0.0], [0.0, 1.0]]),
        "captions": np.array([[1.0, 0.0], [0.6, 0.8]]),
        "caption_classes": np.array([0, 1]),
        "synonyms": np.array([[0.8, 0.6]]),
        "synonym_classes": np.array([0]),
    }
    return TextView(**{**parts, **changed})


def test_features_by_hand():
    found = dict(zip(TEXT_FEATURES, text_features(view(), sigma=0.0), strict=True))
    assert found["text-acc1"] == pytest.approx(1)
    assert found["text-f1"] == pytest.approx(1)
    assert found["intraclass_sim"] == pytest.approx((1 + 0.8) / 2)
    assert found["inter_close"] == 0
    assert found["intra_close"] == pytest.approx((0 + 0.6) / 2)
    assert found["superclass_metric"] == pytest.approx(0.8)


def test_noise_is_seeded_and_costs_accuracy():
    first, again = (text_features(view(), sigma=1.0, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first[1] < 1
    assert (first[2:] == text_features(view(), sigma=0.0)[2:]).all()


def test_without_synonyms_their_feature_is_unknown():
    bare = view(synonyms=np.zeros((0, 2)), synonym_classes=np.zeros(0, dtype=int))
    assert np.isnan(text_features(bare)[-1])


def test_macro_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    truth, answers = np.r_[0:4, rng.integers(0, 4, 20)], rng.integers(0, 4, 24)
    expected = f1_score(truth, answers, average="macro", zero_division=0)
    assert macro_f1(truth, answers, 4) == pytest.approx(expected)


def test_a_task_that_nothing_can_be_told_of_is_refused():
    with pytest.raises(SelectionError, match="class 'dog' has no captions"):
        view(caption_classes=np.array([0, 0]))
    with pytest.raises(SelectionError, match="two classes of different names"):
        view(names=("cat",), classes=np.ones((1, 2)))
