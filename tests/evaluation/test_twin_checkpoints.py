"""Near-duplicates count once, by equal profiles or by agreeing accuracies."""

import polars as pl
import pytest

from vlmsel.evaluation.twin_checkpoints import MIN_TASKS, count_once

TASKS = [f"t{i}" for i in range(MIN_TASKS)]


def zoo(offsets: dict[str, float], tasks: list[str] = TASKS) -> pl.DataFrame:
    rows = [
        (model, "tag", task, 0.3 + 0.01 * i + offset)
        for model, offset in offsets.items()
        for i, task in enumerate(tasks)
    ]
    return pl.DataFrame(rows, schema=["model", "pretrained", "task", "acc1"], orient="row")


def profile(values: dict[str, float]) -> pl.DataFrame:
    rows = [(model, "tag", "t0", "i", block, f"b{block}", value * (block + 1))
            for model, value in values.items() for block in range(3)]  # fmt: skip
    names = ["model", "pretrained", "task", "image_id", "block", "block_name", "conductance"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_neighbouring_epochs_count_once_and_the_reason_names_the_other() -> None:
    once = count_once(zoo({"epoch31": 0.0, "epoch32": 0.015, "other": 0.05}))
    assert set(once.accuracies["model"]) == {"epoch31", "other"}
    [(kind, name, reason)] = once.left_out.rows()
    assert (kind, name) == ("model", "epoch32/tag")
    assert reason == (
        f"its accuracies are within 0.015 of those of epoch31/tag on all {MIN_TASKS} tasks; "
        "counted once"
    )


def test_of_a_chain_only_what_is_near_to_one_that_stays_goes() -> None:
    once = count_once(zoo({"a": 0.0, "c": 0.018, "b": 0.036}))
    assert set(once.accuracies["model"]) == {"a", "b"}
    assert once.left_out["name"].to_list() == ["c/tag"]
    assert "of those of a/tag" in once.left_out["reason"][0]


@pytest.mark.parametrize(
    ("offsets", "tasks"),
    [({"a": 0.0, "b": 0.021}, TASKS), ({"a": 0.0, "b": 0.0}, TASKS[:-1])],
)
def test_different_or_hardly_known_models_stay(offsets: dict[str, float], tasks: list[str]) -> None:
    accuracies = zoo(offsets, tasks)
    once = count_once(accuracies)
    assert once.accuracies.equals(accuracies)
    assert once.left_out.is_empty()


def test_holes_do_not_make_models_alike() -> None:
    accuracies = zoo({"a": 0.0, "b": 0.0})
    half = accuracies.with_columns(
        acc1=pl.when(pl.col("task").is_in(TASKS[:5]), model="b")
        .then(float("nan"))
        .otherwise("acc1")
    )
    assert count_once(half).left_out.is_empty()


def test_equal_profiles_count_once_among_models_with_accuracies() -> None:
    profiles = profile({"a": 1.0, "b": 1.0, "c": 1.0, "d": 2.0})
    # `a` has no accuracy, so it must not be the one that stays.
    once = count_once(zoo({"b": 0.0, "c": 0.1, "d": 0.2}), profiles)
    assert once.profiles is not None
    assert set(once.accuracies["model"]) == {"b", "d"}
    assert set(once.profiles["model"]) == {"a", "b", "d"}
    assert once.left_out.rows() == [
        ("model", "c/tag", "its profiles equal those of b/tag; counted once")
    ]
