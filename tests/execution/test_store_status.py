from pathlib import Path

import polars as pl

from vlmsel.execution.store_status import failed_frame, status_frame
from vlmsel.measurements import Prediction, Profile
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store


def cell(task: str, key: str, kind: str = "profile") -> CellId:
    return CellId("m", "x", task, key, "d", kind)


def failed(*rows: tuple[CellId, str]) -> pl.DataFrame:
    values = [(c.kind, c.model, c.pretrained, c.task, c.key, reason) for c, reason in rows]
    columns = ["kind", "model", "pretrained", "task", "key", "reason"]
    return pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String), orient="row")


def test_counts_and_reason_by_model_and_task() -> None:
    wanted = [cell("cars", "1"), cell("cars", "2"), cell("cars", "3"), cell("dogs", "4")]
    frame = status_frame(wanted, wanted[:1], failed((wanted[1], "broken")), {})
    assert frame.rows() == [
        ("profile", "m", "x", "cars", 1, 1, 0, 1, "broken"),
        ("profile", "m", "x", "dogs", 0, 0, 0, 1, None),
    ]


def test_a_cell_measured_after_it_failed_is_measured() -> None:
    one = cell("cars", "1")
    frame = status_frame([one], [one], failed((one, "once")), {})
    assert frame.rows() == [("profile", "m", "x", "cars", 1, 0, 0, 0, None)]


def test_what_is_in_the_store_and_not_wanted_is_not_counted() -> None:
    old = failed((cell("cars", "8"), "old"))
    frame = status_frame([cell("cars", "1")], [cell("cars", "9")], old, {})
    assert frame.rows() == [("profile", "m", "x", "cars", 0, 0, 0, 1, None)]


def test_a_task_with_the_images_of_another_is_counted_by_itself() -> None:
    cars, copy = cell("cars", "1"), cell("copy", "1")
    frame = status_frame([cars, copy], [cars], failed(), {})
    assert frame.select("task", "measured", "missing").rows() == [("cars", 1, 0), ("copy", 0, 1)]


def test_nothing_wanted_gives_an_empty_frame() -> None:
    assert status_frame([], [], failed(), {}).height == 0


def test_images_that_failed_in_measured_cells_are_counted_by_themselves() -> None:
    cars, dogs = cell("cars", "1"), cell("dogs", "2")
    # The note of a cell that is not measured (any more) means nothing.
    notes = {cars: [("a.png", "cut"), ("b.png", "empty")], dogs: [("c.png", "cut")]}
    frame = status_frame([cars, dogs], [cars], failed(), notes)
    assert frame.rows() == [
        ("profile", "m", "x", "cars", 1, 0, 2, 0, "image a.png: cut"),
        ("profile", "m", "x", "dogs", 0, 0, 0, 1, None),
    ]


def test_kinds_of_one_model_and_task_are_told_apart() -> None:
    wanted = [cell("cars", "1"), cell("cars", "1", "prediction")]
    frame = status_frame(wanted, wanted[:1], failed((wanted[1], "no text")), {})
    assert frame.rows() == [
        ("prediction", "m", "x", "cars", 0, 1, 0, 0, "no text"),
        ("profile", "m", "x", "cars", 1, 0, 0, 0, None),
    ]


def test_failures_of_several_kinds_are_one_table(tmp_path: Path) -> None:
    store, profile, prediction = Store(tmp_path), Profile(), Prediction()
    for one, reason in ((profile, "no blocks"), (prediction, "no text")):
        store.fail(CellId("m", "x", "cars", "1", one.digest, one.kind), one, reason)
    frame = failed_frame(store, [profile, prediction])
    assert frame.select("kind", "task", "reason", "failure").sort("kind").rows() == [
        ("prediction", "cars", "no text", "error"),
        ("profile", "cars", "no blocks", "error"),
    ]
