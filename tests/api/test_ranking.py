"""Ranking on made-up knowledge, small enough to be done by hand."""

import polars as pl
import pytest

from vlmsel.api.choice import choose_selector
from vlmsel.api.laboratory import Knowledge, evaluate, mean_dcd, sweep_dcd
from vlmsel.api.ranking import rank_zoo
from vlmsel.api.selection import PROMISES, TargetImages
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
    assert selection.rival is not None
    assert selection.rival.table["score"].round(9).n_unique() == 1, "both orders cancel"
    assert selection.ranking["average_rank"].to_list() == selection.ranking["rank"].to_list()


def test_the_default_is_what_leave_one_out_supports(knowledge):
    selection = rank("sky", knowledge)
    assert selection.selector in {"dcd", "dcd-scaled", "dcd-pooled", "combined"}
    assert "in leave-one-out over 10 sources it beats average rank" in selection.why
    assert selection.trust is not None
    assert selection.trust.n_tasks == 10


def test_selectors_that_lack_inputs_are_not_run(knowledge):
    bare = Knowledge(knowledge.accuracies, knowledge.profiles.clear(), "accuracies alone")
    selectors = set(evaluate(bare).metrics["selector"])
    assert "average-rank" in selectors
    assert not selectors & {"dcd", "dcd-pooled", "imagenet"}
    assert mean_dcd(bare) is None
    with pytest.raises(SelectionError, match="needs profiles, and there are none"):
        sweep_dcd(bare, etas=[0.0], gammas=[0.0])


def test_promises_are_withdrawn_where_the_images_are_unlike_every_source(knowledge):
    choice = choose_selector(knowledge, "dcd-scaled")
    near = rank("sea", knowledge, "dcd-scaled")
    assert near.is_trustworthy
    assert near.expected_loss is not None
    assert near.ranking["low"].null_count() == 0
    rows = pl.DataFrame(profile_rows("new", "sea"))
    last = pl.col("block") == 2
    strange = rows.with_columns(conductance=pl.col("conductance") * (1 + 50 * last))
    far = rank_zoo("new", TargetImages(strange), knowledge, choice=choice)
    assert far.unlike_every_source
    assert not far.is_trustworthy
    start = "No trustworthy ranking for these images. The images are unlike every source"
    assert far.headline.startswith(start)
    assert far.expected_loss is None
    for promise in PROMISES:
        assert far.ranking[promise].null_count() == len(MODELS)
    assert far.ranking["rank"].to_list() == list(range(1, 7))
    assert far.headline in str(far)


def test_without_profiles_average_rank_ranks_and_looks_at_nothing(knowledge):
    bare = Knowledge(knowledge.accuracies, knowledge.profiles.clear(), "accuracies alone")
    choice = choose_selector(bare)
    assert choice.name == "average-rank"
    assert not choice.needs.looks_at_images
    answer = rank_zoo("new", TargetImages(), bare, choice=choice)
    assert not answer.images_looked_at
    assert answer.unlike_every_source is None
    assert "images-not-looked-at" in [notice.code for notice in answer.warnings]
    assert answer.n_sources == 10


def test_sources_without_profiles_count_for_average_rank_alone(knowledge):
    some = knowledge.profiles.filter(pl.col("task").is_in(TASKS[:6]))
    partly = Knowledge(knowledge.accuracies, some, "six profiled")
    choice = choose_selector(partly)
    answer = rank_zoo("new", TargetImages(), partly, choice=choice)
    assert (answer.selector, answer.n_sources) == ("average-rank", 10)
    assert answer.trust is not None
    assert answer.trust.n_tasks == 10
    learnt = rank_zoo(
        "new",
        TargetImages(pl.DataFrame(profile_rows("new", "sea"))),
        partly,
        choice=choose_selector(partly, "dcd-scaled"),
    )
    assert learnt.n_sources == 6
