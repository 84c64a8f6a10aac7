"""Bridges between classes: shares, thresholds, and values that are moved."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.texts.class_bridge import (
    correct_view,
    lay_out_classes,
    make_bridge,
)


def test_like_classes_are_bridged():
    similarity = np.array([[0.99, 0.1], [0.1, 0.99], [0.2, 0.3]])
    bridge = make_bridge(similarity, mass=0.6)
    # The third class is like none, and two classes of equal mass move what they can.
    np.testing.assert_allclose(bridge.shares.sum(axis=0), 1)
    np.testing.assert_allclose(bridge.shares, [[1, 0], [0, 1], [0, 0]], atol=1e-9)
    values = np.array([[1.0], [2.0], [9.0]])
    np.testing.assert_allclose(bridge.move(values), [[1.0], [2.0]])


def test_a_class_without_mass_has_the_shares_of_all():
    similarity = np.array([[0.99, 0.6], [0.98, 0.6]])
    bridge = make_bridge(similarity, mass=0.5)
    np.testing.assert_allclose(bridge.shares.sum(axis=0), 1)
    np.testing.assert_allclose(bridge.shares[:, 1], [1.0, 0.0], atol=1e-6)


def test_nothing_alike_is_refused():
    with pytest.raises(SelectionError, match=r"the largest cosine is 0\.40, not above 0\.5"):
        make_bridge(np.array([[0.4, 0.1]]))


def test_the_task_itself_and_unlabelled_classes_are_like_nothing(make_texts):
    models = [("a", "p"), ("b", "p")]
    views = make_texts(models, ["t0", "t1", "t2"]).views
    for model in models:
        views["t2"][model].accuracy[1] = np.nan
    classes = lay_out_classes(views, models, ["t1", "t2"])
    found = classes.similarity("t1", [views["t1"][model] for model in models])
    assert found.shape == (6, 3)
    assert np.isneginf(found).all(axis=1).tolist() == [True, True, True, False, True, False]
    cosines = [views["t2"][m].classes[0] @ views["t1"][m].classes[2] for m in models]
    assert found[3, 2] == pytest.approx(np.mean(cosines))


def test_captions_move_by_the_gap_of_their_class(make_texts):
    view = make_texts([("a", "p")], ["t0"]).views["t0"]["a", "p"]
    gaps = np.eye(3, 8)
    moved = correct_view(view, gaps)
    expected = view.captions[3] + gaps[1]
    np.testing.assert_allclose(moved.captions[3], expected / np.linalg.norm(expected))
    assert moved.classes is view.classes
