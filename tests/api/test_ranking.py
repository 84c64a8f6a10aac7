"""Ranking on made-up knowledge, small enough to be done by hand."""

import polars as pl
import pytest

from vlmsel.api.choice import choose_selector
from vlmsel.api.evaluating import Knowledge, evaluate, mean_dcd, sweep_dcd
from vlmsel.api.ranking import rank_zoo
from vlmsel.api.reporting import held_out_selection, with_truth
from vlmsel.api.selection import TargetImages
from vlmsel.errors import SelectionError

MODELS = [f"m{i}" for i in range(6)]
# Two kinds of tasks: on each the models come in their own order, and blocks work in their own way.
KINDS = {"sea": (0, [1.0, 5.0, 1.0]), "sky": (1, [5.0, 1.0, 2.0])}
TASKS = [f"{kind}-{i}" for kind in KINDS for i in range(5)]


def profile_rows(task: str, kind: str) -> list[dict]:
    return [
        {
            "model": model,
            "pretrained": "x",
            "task": task,
            "image_id": f"{image}.png",
            "block": block,
            "block_name": f"b{block}",
            # No two models alike, or they would count as copies of one checkpoint.
            "conductance": value ** (1 + 0.1 * number) * (1 + 0.01 * image),
        }
        for number, model in enumerate(MODELS)
        for image in range(3)
        for block, value in enumerate(KINDS[kind][1])
    ]


@pytest.fixture
def knowledge() -> Knowledge:
    accuracies = [
        {"model": model, "pretrained": "x", "task": task, "acc1": 0.5 + 0.05 * (5 - place)}
        for task in TASKS
        for place, model in enumerate(MODELS[:: 1 if task.startswith("sea") else -1])
    ]
    rows = [row for task in TASKS for row in profile_rows(task, task.partition("-")[0])]
    return Knowledge(pl.DataFrame(accuracies), pl.DataFrame(rows), "made up")


def rank(kind: str, knowledge: Knowledge, selector: str | None = None):
    images = TargetImages(pl.DataFrame(profile_rows("new", kind)))
    return rank_zoo("new", images, knowledge, choice=choose_selector(knowledge, selector))


@pytest.mark.parametrize(("kind", "best"), [("sea", "m0"), ("sky", "m5")])
def test_the_sources_of_the_same_kind_decide(knowledge, kind, best):
    selection = rank(kind, knowledge, "dcd-scaled")
    first = selection.ranking.row(0, named=True)
    assert (first["rank"], first["model"]) == (1, best)
    assert all(name.startswith(kind) for name in first["sources"].split("%, "))
    assert (selection.images.n_images, selection.why) == (3, "chosen by you")
    assert (selection.ranking["image_low"] <= selection.ranking["rank"]).all()
    assert (selection.ranking["image_high"] >= selection.ranking["rank"]).all()
    assert (selection.ranking["low"] <= selection.ranking["high"]).all()
    assert selection.ranking["top5"].is_between(0, 1).all()
    assert selection.failed_images.is_empty()


def test_average_rank_stands_beside_and_cannot_tell_the_kinds_apart(knowledge):
    selection = rank("sea", knowledge, "average-rank")
    assert selection.ranking["image_low"].null_count() == len(MODELS)
    assert (selection.ranking["high"] - selection.ranking["low"]).max() > 0, (
        "it is wrong, and says so"
    )
    assert selection.rival.table["score"].round(9).n_unique() == 1, "both orders cancel"
    assert selection.ranking["average_rank"].to_list() == selection.ranking["rank"].to_list()


def test_the_default_is_what_leave_one_out_supports(knowledge):
    selection = rank("sky", knowledge)
    assert selection.selector in {"dcd", "dcd-scaled", "dcd-pooled", "combined"}
    assert "in leave-one-out over 10 sources it beats average rank" in selection.why
    assert selection.trust.n_tasks == 10


def test_a_known_task_is_ranked_as_if_it_were_new_and_the_truth_stands_beside(knowledge):
    selection = held_out_selection(knowledge, "sea-0", selector="dcd-scaled")
    assert "sea-0" not in set(selection.details.weights["source"])
    table = with_truth(selection, knowledge)
    assert table["true_rank"].to_list() == table["rank"].to_list()
    with pytest.raises(SelectionError, match=r"task 'sea-9' has no .*; did you mean sea-"):
        held_out_selection(knowledge, "sea-9")


def test_selectors_that_cannot_be_fed_are_not_run(knowledge):
    bare = Knowledge(knowledge.accuracies, knowledge.profiles.clear(), "accuracies alone")
    selectors = set(evaluate(bare).metrics["selector"])
    assert "average-rank" in selectors
    assert not selectors & {"dcd", "dcd-pooled", "imagenet"}
    assert mean_dcd(bare) is None
    with pytest.raises(SelectionError, match="needs profiles, and there are none"):
        sweep_dcd(bare, etas=[0.0], gammas=[0.0])
