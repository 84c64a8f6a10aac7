from pathlib import Path

import pytest

from tests.execution.builders import JOB, identity, shard, spec
from tests.execution.conftest import draw_task
from vlmsel.errors import ExecutionError
from vlmsel.execution.lease import hold_lease
from vlmsel.execution.plan import Known, Plan, plan_cells
from vlmsel.execution.refresh import LEASE_NAME, describe_changes, refresh
from vlmsel.settings import AttributionSettings
from vlmsel.tasks.catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo


def plan(models: dict[str, str], tasks: dict[str, int]) -> Plan:
    """Models by name with what their weights are, tasks by name with their number of images."""
    return plan_cells(
        [(spec(name), identity(weights)) for name, weights in models.items()],
        {name: (shard(name, n_images=n),) for name, n in tasks.items()},
        JOB,
        known=Known(),
        seconds_per_image=dict.fromkeys((f"{name}/x" for name in models), 1.0),
    )


BEFORE = plan({"a": "a", "b": "b"}, {"cars": 2, "dogs": 2}).wanted


def changes(now: Plan) -> dict[tuple[str, str], str]:
    rows = describe_changes(now, BEFORE).rows(named=True)
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


def test_a_refresh_measures_profiles_and_accuracies_and_then_nothing(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    store = str(tmp_path / "store")
    target = draw_task(tmp_path / "images" / "target", 7).model_copy(update={"classnames": None})
    catalog = TaskCatalog(tasks=(*tasks.tasks, target))
    first = refresh(zoo, catalog, store, settings)
    assert (first.profiles.measured, first.accuracies.measured, first.exit_code()) == (8, 6, 0)
    assert set(first.changes["change"]) == {"new model"}
    again = refresh(zoo, catalog, store, settings)
    assert (again.profiles.measured, again.accuracies.measured, again.exit_code()) == (0, 0, 0)
    assert set(again.changes["change"]) == {"unchanged"}


def test_a_catalog_of_targets_only_has_no_accuracies(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    bare = TaskCatalog(tasks=(tasks.tasks[0].model_copy(update={"classnames": None}),))
    done = refresh(zoo, bare, str(tmp_path / "store"), settings)
    assert (done.profiles.measured, done.accuracies.measured, done.exit_code()) == (2, 0, 0)


def test_a_second_refresh_is_refused_while_one_is_at_work(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    store = str(tmp_path / "store")
    with (
        hold_lease(store, LEASE_NAME),
        pytest.raises(ExecutionError, match="another refresh works on"),
    ):
        refresh(zoo, tasks, store, settings)
