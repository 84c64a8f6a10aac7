import dataclasses

import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.registry import make_selector


@pytest.mark.parametrize("task", ["imagenet", "imagenet1k"])
def test_one_minus_accuracy_on_a_task_that_is_no_source(problem, task):
    rows = problem.accuracies.filter(task="t3").with_columns(task=pl.lit(task))
    known = dataclasses.replace(problem, accuracies=pl.concat([problem.accuracies, rows]))
    table = make_selector("imagenet").rank(known).table.sort("model")
    expected = rows.sort("model")["acc1"]
    assert table["score"].to_list() == pytest.approx((1 - expected).to_list())


def test_another_task_by_name(problem):
    best = problem.accuracies.filter(task="t2").sort("acc1", descending=True)["model"].to_list()
    assert make_selector("imagenet", task="t2").rank(problem).table["model"].to_list() == best


def test_a_task_that_no_one_knows(problem):
    with pytest.raises(SelectionError, match="no accuracies of imagenet or imagenet1k for target"):
        make_selector("imagenet").rank(problem)
    with pytest.raises(SelectionError, match="no accuracies of t9"):
        make_selector("imagenet", task="t9").rank(problem)


def test_models_that_it_does_not_know_are_named(problem):
    is_missing = (pl.col("task") == "t2") & (pl.col("model") == "d")
    fewer = dataclasses.replace(problem, accuracies=problem.accuracies.filter(~is_missing))
    ranking = make_selector("imagenet", task="t2").rank(fewer)
    assert ranking.left_out.rows() == [("d", "p", "no accuracy on t2")]
    assert len(ranking.table) == 5
