"""Knowledge of a target that a selector may have."""

import polars as pl
import pytest

from tests.evaluation.conftest import TASKS, make_tables
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import hold_out

Tables = tuple[pl.DataFrame, pl.DataFrame]


def test_the_problem_holds_the_sources_and_never_the_target(tables: Tables) -> None:
    held_out = hold_out(*tables)
    assert [task.problem.target for task in held_out.tasks] == sorted(TASKS)
    for task in held_out.tasks:
        others = set(TASKS) - {task.problem.target}
        assert set(task.problem.sources) == set(task.problem.accuracies["task"]) == others
        assert task.problem.profiles is not None
        assert set(task.problem.profiles["task"]) == set(TASKS)
        expected = tables[0].filter(task=task.problem.target).sort("model")["acc1"].to_list()
        assert task.truth["accuracy"].to_list() == expected


def test_a_model_that_no_source_knows_is_in_no_zoo(tables: Tables) -> None:
    stranger = pl.DataFrame({"model": "s", "pretrained": "x", "task": "alpha", "acc1": 0.9})
    held_out = hold_out(pl.concat([tables[0], stranger]), targets=["alpha"])
    assert "s" not in held_out.tasks[0].truth["model"]


def test_accuracies_without_profile_are_no_source() -> None:
    accuracies, profiles = make_tables(0)
    held_out = hold_out(accuracies, profiles.filter(pl.col("task") != "beta"))
    assert "beta" not in held_out.tasks[0].problem.sources
    assert ("task", "beta", "no usable profile at all") in held_out.left_out.rows()


def test_limits_and_unknown_targets_are_named(tables: Tables) -> None:
    held_out = hold_out(tables[0], targets=["alpha", "nowhere"])
    ((kind, name, reason),) = held_out.left_out.rows()
    assert (kind, name) == ("task", "nowhere")
    assert "known for 0 model" in reason
    with pytest.raises(SelectionError, match="4 source task"):
        hold_out(tables[0], min_sources=5)
