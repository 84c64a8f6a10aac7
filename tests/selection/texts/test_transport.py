"""Partial transport against other formulations, brute force, and by hand."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vlmsel.errors import SelectionError
from vlmsel.selection.texts.transport import MOST_PAIRS, partial_transport


def balanced_reference(cost: np.ndarray, mass: float) -> float:
    """Least cost by a dense balanced programme: a dummy bin on each side takes what stays."""
    n, k = cost.shape
    wide = np.zeros((n + 1, k + 1))
    wide[:n, :k] = cost
    # What both dummies would exchange is forbidden by its price.
    wide[n, k] = 1e4
    supply = np.r_[np.full(n, 1 / n), 1 - mass]
    demand = np.r_[np.full(k, 1 / k), 1 - mass]
    rows = np.kron(np.eye(n + 1), np.ones(k + 1))
    columns = np.kron(np.ones(n + 1), np.eye(k + 1))
    found = linprog(
        wide.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.r_[supply, demand], method="highs"
    )
    return float(found.fun)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 99), st.sampled_from([0.3, 0.9, 1.0]))
def test_cost_is_that_of_the_balanced_programme(n, k, seed, mass):
    cost = np.exp(1 - np.random.default_rng(seed).uniform(-1, 1, (n, k)))
    plan = partial_transport(cost, mass)
    assert (plan >= 0).all()
    assert plan.sum() == pytest.approx(mass, abs=1e-7)
    assert (plan.sum(axis=1) <= 1 / n + 1e-7).all()
    assert (plan.sum(axis=0) <= 1 / k + 1e-7).all()
    assert (plan * cost).sum() == pytest.approx(balanced_reference(cost, mass), abs=1e-6)


def test_whole_bins_are_matched_as_brute_force_does():
    # Three of four equal classes move: the best partial matching, by trying all.
    cost = np.random.default_rng(5).random((4, 4))
    best = min(
        sum(cost[i, j] for i, j in zip(rows, columns, strict=True)) / 4
        for rows in combinations(range(4), 3)
        for columns in permutations(range(4), 3)
    )
    assert (partial_transport(cost, 0.75) * cost).sum() == pytest.approx(best, abs=1e-9)


def test_by_hand():
    # Half the mass moves along the cheap pairs alone.
    plan = partial_transport(np.array([[1.0, 5.0], [5.0, 2.0]]), 0.5)
    np.testing.assert_allclose(plan, [[0.5, 0], [0, 0]], atol=1e-9)


@pytest.mark.parametrize("mass", [0.0, 1.1])
def test_impossible_numbers_are_refused(mass):
    with pytest.raises(SelectionError, match="a mass of 0 to 1"):
        partial_transport(np.ones((2, 2)), mass)
    with pytest.raises(SelectionError, match="too large"):
        partial_transport(np.ones((1, MOST_PAIRS + 1)), 0.9)
