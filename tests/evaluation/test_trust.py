"""What is printed under a ranking."""

from dataclasses import replace

import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.trust import trust


@pytest.fixture
def result() -> LeaveOneOut:
    """Seven models on two tasks; the first choice is best on one and sixth (tied) on the other."""
    rankings = pl.DataFrame(
        [
            ("s", target, i + 1, f"m{i}", "x", float(i), accuracy)
            for target, accuracies in {
                "a": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
                "b": [0.4, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
            }.items()
            for i, accuracy in enumerate(accuracies)
        ],
        schema=["selector", "target", "rank", "model", "pretrained", "score", "accuracy"],
        orient="row",
    )
    metrics = pl.DataFrame(
        {"selector": "s", "target": ["a", "b"] * 2, "n_models": 7, "n_sources": 1,
         "metric": ["regret1"] * 2 + ["tau"] * 2, "value": [0.0, 0.5, 0.2, 0.4]}
    )  # fmt: skip
    return LeaveOneOut(metrics, rankings, pl.DataFrame(), pl.DataFrame())


def test_counts_and_means(result: LeaveOneOut) -> None:
    worth = trust(result, "s")
    assert (worth.n_tasks, worth.n_in_top, worth.n_models) == (2, 1, (7, 7))
    assert worth.regret == pytest.approx(0.25)
    assert (worth.regret_low, worth.regret_high) == (0.0, 0.5)
    assert "lost 25.0 points" in worth.sentence
    assert "best 5 of 7 models on 1 of 2 tasks" in worth.sentence


def test_a_ranking_like_chance_is_not_to_be_trusted(result: LeaveOneOut) -> None:
    assert trust(result, "s").beats_chance
    assert "trust" not in trust(result, "s").sentence
    value = pl.when(metric="tau", target="a").then(-0.1).otherwise("value")
    worthless = replace(result, metrics=result.metrics.with_columns(value=value))
    assert not trust(worthless, "s").beats_chance
    assert "Do not trust this ranking" in trust(worthless, "s").sentence


def test_unknown_selector(result: LeaveOneOut) -> None:
    with pytest.raises(SelectionError, match="only by s"):
        trust(result, "dcd")


def test_intervals_that_do_not_hold_are_said(result: LeaveOneOut) -> None:
    worth = trust(result, "s")
    assert worth.coverage is not None
    # Made of one task each, and the two tasks contradict each other.
    assert worth.coverage.share < 0.9
    assert f"held {100 * worth.coverage.share:.0f} % of a task's ranks" in worth.sentence
    assert "promise too much" in worth.sentence
    assert "scaled to the 40 models" in replace(worth, n_ranked=40).sentence
    assert "scaled" not in replace(worth, n_ranked=7).sentence


def test_zoos_of_several_sizes_are_said(result: LeaveOneOut) -> None:
    sizes = pl.when(target="a").then(5).otherwise(7)
    mixed = trust(replace(result, metrics=result.metrics.with_columns(n_models=sizes)), "s")
    assert "best 5 of 5 to 7 models" in mixed.sentence
    assert "% of the places" in mixed.sentence


def test_a_zoo_of_five_has_no_smaller_top_five(result: LeaveOneOut) -> None:
    small = replace(result, metrics=result.metrics.with_columns(n_models=5))
    assert "true best" not in trust(small, "s").sentence
