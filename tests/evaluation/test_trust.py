"""Lines printed under a ranking."""

from dataclasses import replace

import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.trust import trust

ACCURACIES = {
    "a": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
    "b": [0.4, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
}


@pytest.fixture
def result() -> LeaveOneOut:
    """Seven models on ten tasks; the first choice is best on half of them, else sixth (tied)."""
    tasks = [f"{kind}{i}" for i in range(5) for kind in "ab"]
    rankings = pl.DataFrame(
        [
            ("s", target, i + 1, f"m{i}", "x", float(i), accuracy)
            for target in tasks
            for i, accuracy in enumerate(ACCURACIES[target[0]])
        ],
        schema=["selector", "target", "rank", "model", "pretrained", "score", "accuracy"],
        orient="row",
    )
    metrics = pl.DataFrame(
        {"selector": "s", "target": tasks * 2, "n_models": 7, "n_sources": 9,
         "metric": ["regret1"] * 10 + ["tau"] * 10, "value": [0.0, 0.5] * 5 + [0.2, 0.4] * 5}
    )  # fmt: skip
    return LeaveOneOut(metrics, rankings, pl.LazyFrame(), pl.DataFrame())


def test_counts_and_means(result: LeaveOneOut) -> None:
    worth = trust(result, "s")
    assert (worth.n_tasks, worth.n_in_top, worth.n_models) == (10, 5, (7, 7))
    assert worth.regret == pytest.approx(0.25)
    assert 0.0 <= worth.regret_low < 0.25 < worth.regret_high <= 0.5
    assert "lost 25.0 points" in worth.sentence
    assert "best 5 of 7 models on 5 of 10 tasks" in worth.sentence


def test_a_ranking_like_chance_is_not_to_be_trusted(result: LeaveOneOut) -> None:
    assert trust(result, "s").beats_chance
    assert "trust" not in trust(result, "s").sentence
    value = (
        pl.when(pl.col("metric") == "tau", pl.col("target").str.starts_with("a"))
        .then(-0.4)
        .otherwise("value")
    )
    worthless = replace(result, metrics=result.metrics.with_columns(value=value))
    assert not trust(worthless, "s").beats_chance
    assert "Do not trust this ranking" in trust(worthless, "s").sentence


def test_unknown_selector(result: LeaveOneOut) -> None:
    with pytest.raises(SelectionError, match="only by s"):
        trust(result, "dcd")


def test_intervals_that_do_not_hold_are_said(result: LeaveOneOut) -> None:
    worth = trust(result, "s")
    assert worth.coverage is not None
    weak = worth.coverage._replace(share=0.5, low=0.4, high=0.6)
    worth = replace(worth, coverage=weak)
    assert "held 50 % of a task's ranks in the mean (95 % interval 40 to 60)" in worth.sentence
    assert "promise too much" in worth.sentence
    assert "scaled to the 40 models" in replace(worth, n_ranked=40).sentence
    assert "scaled" not in replace(worth, n_ranked=7).sentence


def test_zoos_of_several_sizes_are_said(result: LeaveOneOut) -> None:
    sizes = pl.when(pl.col("target").str.starts_with("a")).then(5).otherwise(7)
    mixed = trust(replace(result, metrics=result.metrics.with_columns(n_models=sizes)), "s")
    assert "best 5 of 5 to 7 models" in mixed.sentence
    assert "% of the places" in mixed.sentence


def test_a_zoo_of_five_has_no_smaller_top_five(result: LeaveOneOut) -> None:
    small = replace(result, metrics=result.metrics.with_columns(n_models=5))
    assert "true best" not in trust(small, "s").sentence


@pytest.mark.parametrize("n_tasks", [1, 3, 9])
def test_of_few_tasks_nothing_is_said(result: LeaveOneOut, n_tasks: int) -> None:
    names = result.metrics["target"].unique(maintain_order=True).head(n_tasks)
    few = replace(
        result,
        metrics=result.metrics.filter(pl.col("target").is_in(names.implode())),
        rankings=result.rankings.filter(pl.col("target").is_in(names.implode())),
    )
    assert trust(few, "s").sentence == (
        f"Nothing can be said of how good the ranking of s is: {n_tasks} known tasks are too few, "
        "10 are needed."
    )


def test_an_interval_from_100_to_100_is_none(result: LeaveOneOut) -> None:
    worth = trust(result, "s")
    assert worth.coverage is not None
    perfect = replace(worth, coverage=worth.coverage._replace(share=1.0, low=1.0, high=1.0))
    assert "100 to 100" not in perfect.sentence
    assert "held 100 % of the ranks on each of the 10 tasks" in perfect.sentence
