"""LEEP, NCE and zero-shot: heads that know everything, nothing, and what is no head."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.scores import leep, nce, zero_shot

Y = np.array([0, 0, 1, 1, 2, 2])


def test_a_head_that_knows_the_classes():
    knows = np.eye(3)[Y]
    assert leep(knows, Y).score == 0
    assert nce(knows, Y) == 0
    assert zero_shot(knows, Y) == (1.0, 0.0, 0)


def test_a_head_that_knows_nothing():
    uniform = np.full((6, 4), 0.25)
    assert leep(uniform, Y).score == pytest.approx(-np.log(3))
    assert nce(uniform, Y) == pytest.approx(-np.log(3))


def test_every_row_twice_is_the_same():
    head = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    double, labels = np.vstack([head, head]), np.tile(Y, 2)
    assert leep(double, labels).score == pytest.approx(leep(head, Y).score)
    assert nce(double, labels) == pytest.approx(nce(head, Y))


def test_leep_written_out():
    head = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    joint = np.array([[head[c == Y, z].sum() / 6 for z in range(4)] for c in range(3)])
    given = joint / joint.sum(axis=0)
    expected = np.mean(
        [np.log(sum(given[Y[i], z] * head[i, z] for z in range(4))) for i in range(6)]
    )
    assert leep(head, Y).score == pytest.approx(expected)


def test_classes_of_the_head_that_nothing_uses_drop_out():
    head = np.hstack([np.eye(3)[Y], np.zeros((6, 2))])
    assert leep(head, Y).score == 0


def test_what_is_sure_and_wrong_is_clipped_and_counted():
    found = zero_shot(np.eye(3)[[1, 0, 1, 1, 2, 2]], Y)
    assert found.clipped == 1
    assert found.log_likelihood == pytest.approx(np.log(1e-12) / 6)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (np.ones((6, 3)), "sum to 3"),
        (np.full((6, 2), [1.5, -0.5]), "negative"),
        (np.full((6, 2), np.nan), "not finite"),
        (np.ones(6), "matrix"),
        (np.full((5, 2), 0.5), "5 rows of probabilities but 6 labels"),
    ],
)
def test_what_is_no_head_is_refused(head, says):
    for score in (leep, nce):
        with pytest.raises(SelectionError, match=says):
            score(head, Y)


def test_zero_shot_wants_columns():
    for labels in (["a"] * 6, Y - 1, Y + 1, Y[:5]):
        with pytest.raises(SelectionError, match="integers from 0 to 2"):
            zero_shot(np.eye(3)[Y], labels)
