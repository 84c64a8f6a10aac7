"""Statistics of changes: golden numbers and a slow reference."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from vlmsel.selection.layers.changes import agresti_min, mid_p, wilson_lower


@pytest.mark.parametrize(("up", "down", "p"), [(5, 0, 0.015625), (8, 2, 0.032715), (0, 0, 1.0)])
def test_golden_mid_p(up, down, p):
    assert mid_p(up, down) == pytest.approx(p, abs=1e-6)


@given(st.integers(0, 25), st.integers(0, 25))
def test_mid_p_is_the_sum_by_hand_and_both_sides_add_up(up, down):
    total = up + down
    if total:
        above = sum(comb(total, k) for k in range(up + 1, total + 1)) / 2**total
        assert mid_p(up, down) == pytest.approx(above + comb(total, up) / 2**total / 2)
        assert mid_p(up, down) + mid_p(down, up) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        ((8, 2, 50), (0.11538, -0.00563, 0.23640)),
        ((0, 0, 20), (0.0, -0.08909, 0.08909)),
        ((5, 0, 20), (0.22727, 0.0308, 0.42375)),
    ],
)
def test_golden_agresti_min(counts, interval):
    assert agresti_min(*counts) == pytest.approx(interval, abs=1e-5)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_the_interval_turns_with_its_sides_and_stays_within_one(up, down, same):
    centre, low, high = agresti_min(up, down, up + down + same)
    other, other_low, other_high = agresti_min(down, up, up + down + same)
    assert -1 <= low <= centre <= high <= 1
    assert (other, other_low, other_high) == pytest.approx((-centre, -high, -low))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held, n_items = 0, 40
    for _ in range(2000):
        kind = rng.choice(3, n_items, p=[0.1, 0.05, 0.85])
        _, low, high = agresti_min(int((kind == 0).sum()), int((kind == 1).sum()), n_items)
        held += low <= 0.05 <= high
    assert 0.94 <= held / 2000 <= 0.99


@given(st.integers(0, 40), st.integers(1, 40))
def test_wilson_as_scipy_has_it(hits, n_items):
    hits = min(hits, n_items)
    expected = binomtest(hits, n_items).proportion_ci(method="wilson").low
    assert wilson_lower(hits, n_items) == pytest.approx(expected, abs=1e-4)
