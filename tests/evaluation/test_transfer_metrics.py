"""Weighted tau and rel@k against scipy and by hand; the other tables stay as they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import weightedtau

from vlmsel.errors import SelectionError
from vlmsel.evaluation.metrics import METRICS
from vlmsel.evaluation.transfer_metrics import TRANSFER_METRICS, rel1, rel3, rel_at, weighted_tau

TRUTH = [0.9, 0.8, 0.7, 0.6]


def test_hand_values():
    assert weighted_tau(TRUTH, [1, 2, 3, 4]) == pytest.approx(1)
    assert weighted_tau(TRUTH, [4, 3, 2, 1]) == pytest.approx(-1)
    assert rel1(TRUTH, [2, 1, 3, 4]) == pytest.approx(0.8 / 0.9)
    assert rel3(TRUTH, [4, 1, 3, 2]) == pytest.approx(0.8 / 0.9)
    assert rel_at(10, TRUTH, [4, 1, 3, 2]) == 1
    assert rel1([0.0, 0.0], [1, 2]) == 1


def test_the_top_counts_more():
    first, last = weighted_tau(TRUTH, [2, 1, 3, 4]), weighted_tau(TRUTH, [1, 2, 4, 3])
    assert first < last < 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=12))
def test_it_is_that_of_scipy(pairs):
    truth, score = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    if np.ptp(truth) == 0 or np.ptp(score) == 0:
        assert weighted_tau(truth, score) == 0
    else:
        expected = weightedtau(-score, truth).statistic
        assert weighted_tau(truth, score) == pytest.approx(expected)


def test_tables_of_leave_one_out_are_as_they_were():
    assert list(METRICS) == ["ndcg5_paper", "ndcg5", "recall5", "tau5", "tau", "regret1"]
    assert not {"weighted_tau", "rel1", "rel3"} & METRICS.keys()
    assert {"weighted_tau", "rel1", "rel3"} <= TRANSFER_METRICS.keys()


def test_what_cannot_be_judged_is_refused():
    for truth, scores in (([1.0], [1.0]), ([1, 2], [1, np.nan]), ([1, 2], [1, 2, 3])):
        with pytest.raises(SelectionError):
            weighted_tau(truth, scores)
        with pytest.raises(SelectionError):
            rel1(truth, scores)
