from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.execution.builders import PROFILE, THREE, identity, job, shard, spec, wanted
from tests.execution.conftest import draw_task
from vlmsel.errors import ExecutionError
from vlmsel.execution.lease import hold_lease
from vlmsel.execution.nightly import LEASE_NAME, describe_changes, refresh
from vlmsel.execution.plan.work_plan import Known, Plan, plan_cells
from vlmsel.measurements import Embedding, Measurement, Prediction, Profile, Want
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TARGET_PREFIX, TaskCatalog
from vlmsel.zoo.catalog import Zoo


def plan(
    models: dict[str, str], tasks: dict[str, int], kinds: Sequence[Measurement] = (PROFILE,)
) -> Plan:
    """Models by name with what their weights are, tasks by name with their number of images."""
    shards = wanted(*(shard(name, n_images=n) for name, n in tasks.items()), measurements=kinds)
    costs = {f"{name}/x": {one.kind: 1.0 for one in kinds} for name in models}
    return plan_cells(
        [(spec(name), identity(weights)) for name, weights in models.items()],
        shards,
        job(kinds),
        known=Known(),
        seconds_per_image=costs,
    )


BEFORE = plan({"a": "a", "b": "b"}, {"cars": 2, "dogs": 2}).wanted


def changes(now: Plan) -> dict[tuple[str, str], str]:
    rows = describe_changes(now, BEFORE).rows(named=True)
    assert {row["kind"] for row in rows} == {"profile"}
    return {(row["model"], row["task"]): row["change"] for row in rows}


def test_nothing_changed() -> None:
    assert set(changes(plan({"a": "a", "b": "b"}, {"cars": 2, "dogs": 2})).values()) == {
        "unchanged"
    }


def test_a_new_model_and_a_new_task() -> None:
    found = changes(plan({"a": "a", "b": "b", "c": "c"}, {"cars": 2, "dogs": 2, "stars": 2}))
    assert found["c", "cars"] == found["c", "stars"] == "new model"
    assert found["a", "stars"] == "new task"
    assert found["a", "cars"] == "unchanged"


def test_new_weights_under_the_same_tag() -> None:
    found = changes(plan({"a": "retrained", "b": "b"}, {"cars": 2, "dogs": 2}))
    assert {found["a", "cars"], found["a", "dogs"]} == {"new weights"}
    assert {found["b", "cars"], found["b", "dogs"]} == {"unchanged"}


def test_new_images_of_a_task() -> None:
    found = changes(plan({"a": "a", "b": "b"}, {"cars": 3, "dogs": 2}))
    assert {found["a", "cars"], found["b", "cars"]} == {"new images"}
    assert found["a", "dogs"] == "unchanged"


def test_both_at_once_are_told_apart_where_they_can_be() -> None:
    found = changes(plan({"a": "retrained", "b": "b"}, {"cars": 3, "dogs": 2}))
    assert found["a", "cars"] == "changed"
    assert found["a", "dogs"] == "new weights"
    assert found["b", "cars"] == "new images"


def test_what_left_the_catalogs_is_named() -> None:
    found = changes(plan({"a": "a"}, {"cars": 2}))
    assert found == {
        ("a", "cars"): "unchanged",
        ("a", "dogs"): "left",
        ("b", "cars"): "left",
        ("b", "dogs"): "left",
    }


def test_what_an_interrupted_run_left_out_is_missing_and_not_new() -> None:
    now = plan({"a": "a", "b": "b"}, {"cars": 2, "dogs": 2})
    part = [cell for cell in BEFORE if (cell.model, cell.task) != ("b", "dogs")]
    rows = describe_changes(now, part).rows(named=True)
    assert [r["change"] for r in rows] == ["unchanged", "unchanged", "unchanged", "missing"]


def test_a_new_kind_is_new_by_itself() -> None:
    now = plan({"a": "a", "b": "b"}, {"cars": 2, "dogs": 2}, THREE)
    found = describe_changes(now, BEFORE)
    by_kind = {kind: set(part["change"]) for (kind,), part in found.group_by("kind")}
    assert by_kind == {
        "profile": {"unchanged"},
        "prediction": {"new model"},
        "embedding": {"new model"},
    }


def test_targets_that_were_ranked_once_did_not_leave() -> None:
    now = plan({"a": "a", "b": "b"}, {"cars": 2, "dogs": 2})
    ranked = {replace(cell, task=f"{TARGET_PREFIX}mine") for cell in BEFORE}
    assert set(describe_changes(now, BEFORE | ranked)["change"]) == {"unchanged"}


def test_a_refresh_measures_every_kind_and_then_nothing(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, store: Store, profile: Profile
) -> None:
    wants = [Want(profile), Want(Prediction()), Want(Embedding())]
    target = draw_task(tmp_path / "images" / "target", 7).model_copy(update={"classnames": None})
    catalog = TaskCatalog(tasks=(*tasks.tasks[:1], target))
    plans: list[Plan] = []
    first = refresh(zoo, catalog, store, wants, on_plan=plans.append)
    measured = {kind: 0 for kind in ("profile", "prediction", "embedding")}
    for (kind, *_), tally in first.summary.tallies.items():
        measured[kind] += tally.measured
    assert measured == {"profile": 4, "prediction": 2, "embedding": 4}
    assert (first.exit_code(), [one.n_missing for one in plans]) == (0, [10])
    assert set(first.changes["change"]) == {"new model"}
    again = refresh(zoo, catalog, store, wants)
    assert (again.summary.measured, again.summary.skipped, again.exit_code()) == (0, 10, 0)
    assert set(again.changes["change"]) == {"unchanged"}


def test_a_catalog_of_targets_only_has_no_predictions(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    bare = TaskCatalog(tasks=(tasks.tasks[0].model_copy(update={"classnames": None}),))
    done = refresh(zoo, bare, store, [Want(profile), Want(Prediction())])
    assert set(done.changes["kind"]) == {"profile"}
    assert (done.summary.measured, done.exit_code()) == (2, 0)


def test_predictions_alone_of_targets_only_are_nothing_to_do(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    bare = TaskCatalog(tasks=(tasks.tasks[0].model_copy(update={"classnames": None}),))
    done = refresh(zoo, bare, store, [Want(Prediction())])
    assert (done.summary.measured, done.changes.height, done.exit_code()) == (0, 0, 0)


def test_a_second_refresh_is_refused_while_one_is_at_work(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want]
) -> None:
    with (
        hold_lease(store.uri, LEASE_NAME),
        pytest.raises(ExecutionError, match="another refresh works on"),
    ):
        refresh(zoo, tasks, store, wants)
