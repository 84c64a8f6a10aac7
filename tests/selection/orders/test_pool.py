"""Pools and labels: impossible ones are refused; hits leave failed answers out."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.orders.pool import Labelled, Pool, hit_rates, hits_on, unlabelled


def test_hits_leave_failed_answers_out():
    pool = Pool(np.array([[0, 1, -2], [1, 1, 1], [-1, 1, 0]]), 2)
    labelled = Labelled((0, 2), (0, 1))
    np.testing.assert_array_equal(hits_on(pool, labelled), [[1, 0, 0], [np.nan, 1, 0]])
    np.testing.assert_array_equal(hit_rates(pool, labelled), [1, 0.5, 0])
    assert hit_rates(pool, Labelled()).tolist() == [0, 0, 0]
    # An image of none of the classes is a miss of everyone, also of who answers none of them.
    assert hit_rates(pool, Labelled((0,), (-1,))).tolist() == [0, 0, 0]


def test_what_cannot_be_is_refused(pool):
    with pytest.raises(SelectionError, match="shape"):
        Pool(pool.classes, 3, pool.probabilities[:, :5])
    with pytest.raises(SelectionError, match="one label"):
        Labelled((0, 1), (1,))
    with pytest.raises(SelectionError, match="one label"):
        Labelled((1,), (1,)).adding(1, 0)
    everything = Labelled(tuple(range(40)), (0,) * 40)
    with pytest.raises(SelectionError, match="all 40 images are labelled"):
        unlabelled(pool, everything)
    with pytest.raises(SelectionError, match="needs the probabilities"):
        Pool(pool.classes, 3).beliefs()
