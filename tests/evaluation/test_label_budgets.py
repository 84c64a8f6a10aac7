import polars as pl
import pytest

from tests.evaluation.conftest import make_tables
from vlmsel.errors import SelectionError
from vlmsel.evaluation.label_budgets import (
    Budgets,
    leave_one_out_with_labels,
    number_of_labels,
    without_labels,
)
from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.selection import make_selector

NAMES = ("average-rank", "posterior")


@pytest.fixture(scope="module")
def accuracies() -> pl.DataFrame:
    return make_tables(0)[0]


@pytest.fixture(scope="module")
def result(accuracies):
    selectors = [make_selector(name) for name in NAMES]
    budgets = Budgets((0, 5, 400), n_draws=3)
    return leave_one_out_with_labels(selectors, accuracies, None, budgets)


def test_selectors_with_labels_stand_beside_the_others(result):
    assert result.metrics["selector"].unique(maintain_order=True).to_list() == [
        "average-rank",
        "posterior@0",
        "posterior@5",
        "posterior@400",
    ]
    assert not result.metrics.select("selector", "target", "metric").is_duplicated().any()
    ranks = result.rankings.group_by("selector", "target").agg(pl.col("rank").n_unique())
    assert (ranks["rank"] == 8).all()


def test_no_labels_are_average_rank_and_many_are_the_truth(result):
    tau = dict(
        result.metrics.filter(metric="tau").group_by("selector").agg(pl.col("value").mean()).rows()
    )
    assert tau["posterior@0"] == tau["average-rank"]
    assert tau["posterior@400"] > max(tau["posterior@5"], 0.7)


def test_without_budgets_it_is_leave_one_out(accuracies):
    selectors = [make_selector("average-rank")]
    found = leave_one_out_with_labels(selectors, accuracies, None, None)
    assert found.metrics.equals(leave_one_out(selectors, accuracies).metrics)


def test_profiles_are_asked_for(accuracies):
    with pytest.raises(SelectionError, match="needs profiles"):
        leave_one_out_with_labels([make_selector("dcd")], accuracies, None, Budgets((5,)))


@pytest.mark.parametrize("labels", [(), (-1,)])
def test_impossible_numbers(labels):
    with pytest.raises(SelectionError, match="0 or more"):
        Budgets(labels)


def test_names():
    names = ("posterior@25", "posterior@0", "dcd")
    assert [number_of_labels(name) for name in names] == [25, 0, 0]
    assert [without_labels(name) for name in names] == ["posterior", "posterior", "dcd"]
