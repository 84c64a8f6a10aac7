import dataclasses

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.registry import make_selector


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": ("t1", "t1")}, "must be different tasks other than itself, not t1, t1"),
        ({"sources": ("t0", "t1")}, "must be different tasks other than itself"),
        ({"target": "t5", "sources": ("t1",)}, "hold rows of the target t5"),
        ({"accuracies": pl.DataFrame({"model": ["a"]})}, "accuracies of a problem lack"),
        ({"profiles": pl.DataFrame({"model": ["a"]})}, "profiles of a problem lack"),
        ({"truth": pl.DataFrame({"model": ["a"]})}, "truth of a problem lack"),
    ],
)
def test_impossible_problems(problem, change, message):
    with pytest.raises(SelectionError, match=message):
        dataclasses.replace(problem, **change)


@pytest.mark.parametrize("name", ["average-rank", "dcd", "combined", "posterior"])
def test_without_sources_what_learns_from_sources_says_so(problem, name):
    alone = dataclasses.replace(problem, sources=())
    with pytest.raises(SelectionError, match=f"no source task is known for t0, and .* {name} "):
        make_selector(name).rank(alone)


def test_two_accuracies_of_one_cell(problem):
    twice = pl.concat([problem.accuracies, problem.accuracies.head(1)])
    with pytest.raises(SelectionError, match="a/p on t1 more than once"):
        dataclasses.replace(problem, accuracies=twice)


def test_rows_of_other_tasks_are_allowed(make_problem):
    problem = make_problem(np.random.default_rng(0).random((3, 4)))
    fewer = dataclasses.replace(problem, sources=("t1", "t2"))
    assert set(fewer.accuracies["task"]) == {"t1", "t2", "t3"}
