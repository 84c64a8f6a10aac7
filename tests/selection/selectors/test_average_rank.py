import numpy as np
import pytest

from vlmsel.selection.registry import make_selector

NAN = float("nan")


def scores(problem) -> dict[str, float]:
    table = make_selector("average-rank").rank(problem).table
    return dict(table.select("model", "score").rows())


def test_mean_of_ranks(make_problem):
    # Ranks on t1: 1, 2, 3; on t2: 2.5, 1, 2.5.
    problem = make_problem(np.array([[0, 0.9, 0.2], [0, 0.8, 0.7], [0, 0.1, 0.2]]))
    assert scores(problem) == pytest.approx({"b": 1.5, "a": 1.75, "c": 2.75})


def test_mean_over_the_sources_that_know_the_model(make_problem):
    # t2 knows a and b of 3: ranks 1, 2 -> 1.25, 2.75.
    problem = make_problem(np.array([[0, 0.9, 0.2], [0, 0.8, 0.7], [0, 0.1, NAN]]))
    assert scores(problem) == pytest.approx({"b": 1.625, "a": 1.875, "c": 3.0})


def test_rows_of_tasks_that_are_no_source_do_not_count(make_problem):
    problem = make_problem(np.array([[0, 0.9, 0.2], [0, 0.8, 0.7]]))
    fewer = type(problem)("t0", ("t1",), problem.accuracies)
    assert scores(fewer) == pytest.approx({"a": 1.0, "b": 2.0})
