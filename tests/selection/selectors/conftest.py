"""Distances between the profiles of a problem, one pair at a time."""

from collections.abc import Callable

import polars as pl
import pytest

from vlmsel.selection.problem import Problem


def _distance_rows(problem: Problem, distance: Callable[[list, list], float]) -> pl.DataFrame:
    """Distance of every source to the target, as `similarity` takes them."""
    assert problem.profiles is not None
    profiles = {row[:3]: row[3] for row in problem.profiles.rows()}
    rows = [
        (model, tag, task, problem.target, distance(profiles[model, tag, problem.target], shape))
        for (model, tag, task), shape in profiles.items()
        if task != problem.target
    ]
    columns = ["model", "pretrained", "source", "target", "dcd"]
    return pl.DataFrame(rows, schema=columns, orient="row")


@pytest.fixture(scope="session")
def distance_rows() -> Callable[..., pl.DataFrame]:
    return _distance_rows
