"""Divergences as arrays against the table of `dcd_matrix`, and against scipy."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.array_divergences import DcdDivergence
from vlmsel.selection.dcd_table import dcd_matrix
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.task_grid import lay_out

NAMES = ["model", "pretrained", "source", "target"]


def two_models(long_profiles, seed: int) -> pl.DataFrame:
    """A model of 5 blocks on 4 tasks and one of 3 blocks on 3 of them."""
    rng = np.random.default_rng(seed)
    wide, narrow = rng.lognormal(size=(4, 5)), rng.normal(size=(3, 2, 3))
    return task_profiles(
        pl.concat([long_profiles(wide, "a"), long_profiles(narrow, "b", ["t0", "t1", "t3"])])
    )


@pytest.mark.parametrize("eps_mode", ["absolute", "relative"])
@pytest.mark.parametrize("eta", [0.0, 2.0, -1.0])
def test_they_are_those_of_the_table(long_profiles, eta, eps_mode):
    profiles = two_models(long_profiles, 0)
    accuracies = pl.DataFrame(
        schema={"model": pl.String, "pretrained": pl.String, "task": pl.String, "acc1": pl.Float64}
    )
    grid = lay_out(accuracies, profiles)
    measure = DcdDivergence(eta, 1e-3, eps_mode)
    pairs = dcd_matrix(profiles, eta=eta, eps=1e-3, eps_mode=eps_mode)
    expected = {row[:4]: row[4] for row in pairs.select(*NAMES, "dcd").rows()}
    found = {
        (*model, source, target): grid.divergences(measure, column)[row, grid.column_of[source]]
        for column, target in enumerate(grid.tasks)
        for row, model in enumerate(grid.models)
        for source in grid.tasks
    }
    known = {key: value for key, value in found.items() if np.isfinite(value)}
    assert known == pytest.approx(expected, rel=1e-12)


def test_many_targets_at_once_are_each_alone():
    rng = np.random.default_rng(1)
    targets, sources = rng.lognormal(size=(6, 2, 4)), rng.lognormal(size=(2, 3, 4))
    measure, n_blocks = DcdDivergence(), np.array([4, 2])
    found = measure.towards(targets, sources, n_blocks)
    assert found.shape == (6, 2, 3)
    for i, target in enumerate(targets):
        np.testing.assert_allclose(found[i], measure.towards(target, sources, n_blocks), rtol=1e-14)


def test_without_profiles_there_is_nothing_to_compare(problem):
    grid = lay_out(problem.accuracies, None)
    with pytest.raises(SelectionError, match="no profiles to compare"):
        grid.divergences(DcdDivergence(), 0)


def test_what_does_not_fit_is_computed_again(problem):
    grid = replace(lay_out(problem.accuracies, problem.profiles), kept_bytes=2 * 6 * 6 * 8)
    first = grid.divergences(DcdDivergence(), 0)
    for column in range(1, 6):
        grid.divergences(DcdDivergence(), column)
    again = grid.divergences(DcdDivergence(), 0)
    assert again is not first
    np.testing.assert_array_equal(again, first)


def test_a_model_without_any_profile_has_no_divergence():
    sources = np.full((2, 3, 4), np.nan)
    sources[0] = np.arange(12).reshape(3, 4)
    found = DcdDivergence().towards(sources[:, 0], sources, np.array([4, 0]))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
