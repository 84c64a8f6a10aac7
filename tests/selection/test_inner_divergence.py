"""The spread without the target against tables from which the target is really gone."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from vlmsel.selection.array_divergences import DcdDivergence
from vlmsel.selection.dcd_table import dcd_matrix
from vlmsel.selection.inner_divergence import inner_divergence
from vlmsel.selection.problem import Problem
from vlmsel.selection.similarity import scaled_divergence
from vlmsel.selection.task_grid import lay_out

MEASURE = DcdDivergence()


def slow_pooled(problem: Problem, models: set[str]) -> np.ndarray:
    """(sources as targets, sources), NaN where unknown: a z-score per pair of names."""
    assert problem.profiles is not None
    profiles = problem.profiles.filter(pl.col("task").is_in(problem.sources))
    scaled = dcd_matrix(profiles).with_columns(dcd=scaled_divergence("spread"))
    mean = scaled.filter(pl.col("model").is_in(models)).group_by("target", "source")
    values = {row[:2]: row[2] for row in mean.agg(pl.col("dcd").mean()).rows()}
    names = problem.sources
    return np.array([[values.get((t, s), np.nan) for s in names] for t in names])


@pytest.mark.parametrize("holes", [0.0, 0.25])
@pytest.mark.parametrize("outlier", [1.0, 1e9])
def test_the_target_is_gone_from_every_spread(make_problem, holes, outlier):
    rng = np.random.default_rng(4)
    profiles = rng.lognormal(size=(7, 8, 4))
    # Far from all others: what is taken away is nearly the whole sum.
    profiles[:, 0] *= outlier
    profiles[rng.random((7, 8)) < holes] = np.nan
    problem = make_problem(rng.random((7, 8)), profiles)
    arrays = problem.arrays
    inner = inner_divergence(arrays, MEASURE)
    zoos = np.array([[0, 1, 2, 3, 4], [6, 2, 4, 1, 0]])
    for zoo, found in zip(zoos, inner.pool(zoos), strict=True):
        expected = slow_pooled(problem, {arrays.known_models[i][0] for i in zoo})
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_view_of_a_larger_grid_gives_the_same(make_problem):
    rng = np.random.default_rng(5)
    accuracy, profiles = rng.random((5, 7)), rng.lognormal(size=(5, 7, 3))
    whole = make_problem(accuracy, profiles)
    # Two tasks of the grid are neither target nor source.
    part = dataclasses.replace(whole, sources=("t1", "t2", "t4", "t5"))
    alone = inner_divergence(part.arrays, MEASURE).pool(np.arange(5)[None])[0]
    np.testing.assert_allclose(alone, slow_pooled(part, set("abcde")), rtol=1e-9, atol=1e-12)


def test_equal_profiles_are_not_spread(make_problem):
    problem = make_problem(np.random.default_rng(0).random((3, 4)), np.ones((3, 4, 2)))
    found = inner_divergence(problem.arrays, MEASURE).pool(np.arange(3)[None])[0]
    np.testing.assert_array_equal(found[~np.eye(3, dtype=bool)], 0.0)
    assert np.isnan(found.diagonal()).all()


def test_grids_are_told_apart(make_problem):
    rng = np.random.default_rng(6)
    for _ in range(3):
        problem = make_problem(rng.random((3, 4)), rng.lognormal(size=(3, 4, 2)))
        grid = lay_out(problem.accuracies, problem.profiles)
        problem.share(grid, np.arange(3))
        found = inner_divergence(problem.arrays, MEASURE).pool(np.arange(3)[None])[0]
        np.testing.assert_allclose(found, slow_pooled(problem, set("abc")), rtol=1e-9, atol=1e-12)
