import numpy as np
import pytest

from vlmsel.selection.registry import make_selector

NAN = float("nan")


def scores(problem) -> dict[str, float]:
    table = make_selector("average-accuracy").rank(problem).table
    return dict(table.select("model", "score").rows())


def test_one_minus_mean_accuracy(make_problem):
    problem = make_problem(np.array([[0, 0.9, 0.2], [0, 0.8, 0.7]]))
    assert scores(problem) == pytest.approx({"a": 0.45, "b": 0.25})


def test_a_model_known_on_the_hard_task_only_is_not_punished(make_problem):
    # b is .1 above the mean of t2, a is .05 above and below, c .1 below that of t2.
    accuracy = np.array([[0, 0.9, 0.2], [0, NAN, 0.3], [0, 0.8, 0.1]])
    # Means of t1, t2: .85, .2; their mean .525.
    assert scores(make_problem(accuracy)) == pytest.approx(
        {"a": 1 - 0.525 - 0.025, "b": 1 - 0.525 - 0.1, "c": 1 - 0.525 + 0.075}
    )
