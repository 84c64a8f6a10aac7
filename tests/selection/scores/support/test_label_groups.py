"""Labels and features that cannot be scored, each with its message."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.scores import logme
from vlmsel.selection.scores.support.label_groups import check_features, group_labels, labelled

X = np.random.default_rng(0).normal(size=(6, 3))


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "dog", "cat", "dog", "cat", "ant"],
        [10, 30, 10, 30, 10, 5],
        [10.0, 30.0, 10.0, 30.0, 10.0, 5.0],
        np.array(["cat", "dog", "cat", "dog", "cat", "ant"], dtype=object),
        np.array([10, 30, 10, 30, 10, 5], dtype=object),
    ],
)
def test_classes_are_dense_whatever_they_are_called(labels):
    groups = group_labels(labels)
    assert groups.codes.tolist() == [1, 2, 1, 2, 1, 0]
    assert groups.counts.tolist() == [1, 3, 2]
    assert groups.smallest == 1
    assert np.allclose(groups.means(X)[2], X[[1, 3]].mean(axis=0))
    assert logme(X, labels) == logme(X, groups.codes)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0.5, 1.2, 0.1, 3.4, 2.2, 1.0], "targets of a regression .*regression=True"),
        (np.eye(6)[:, :3], "several labels per image .*regression=True"),
        (np.array([[1], [1, 2], [3], [2], [1], [1]], dtype=object), "list of labels"),
        ([0, 1, np.nan, 0, 1, 1], r"1 images have no label \(rows 2\)"),
        (np.array(["a", None, "b", None, "a", "b"], dtype=object), r"2 images .*rows 1, 3"),
        (np.array(["a", 1, "b", 2, "a", "b"], dtype=object), "mix the types int, str"),
        ([1, 1, 1, 1, 1, 1], "have one class"),
        ([0, 1], "6 rows of features but 2 labels"),
        (np.zeros((2, 2, 2)), "one per image"),
        (np.zeros(6, dtype="datetime64[s]"), "are no classes"),
    ],
)
def test_what_is_no_class_is_refused(labels, says):
    with pytest.raises(SelectionError, match=says):
        labelled(X, labels)


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (np.where(np.arange(18).reshape(6, 3) == 4, np.nan, X), r"1 of 6 rows .*\(rows 1\)"),
        (np.full((9, 2), np.inf), r"9 of 9 .*rows 0, 1, 2, 3, 4, \.\.\."),
        (X[0], "matrix"),
        (X[:1], "at least two"),
        (np.zeros((4, 0)), "matrix"),
        (np.array([["a", "b"]] * 3), "matrix of numbers"),
    ],
)
def test_what_is_no_feature_is_refused(features, says):
    with pytest.raises(SelectionError, match=says):
        check_features(features)


def test_half_precision_is_widened():
    assert check_features(X.astype(np.float16)).dtype == np.float64
