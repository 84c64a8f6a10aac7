import polars as pl

from vlmsel.execution.status import status_frame
from vlmsel.store.keys import CellId


def cell(task: str, key: str) -> CellId:
    return CellId("m", "x", task, key, "d")


def failed(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"key": pl.String, "reason": pl.String}, orient="row")


def test_counts_and_reason_by_model_and_task() -> None:
    wanted = [cell("cars", "1"), cell("cars", "2"), cell("cars", "3"), cell("dogs", "4")]
    frame = status_frame(wanted, ["1"], failed(("2", "broken")))
    assert frame.rows() == [
        ("m", "x", "cars", 1, 1, 1, "broken"),
        ("m", "x", "dogs", 0, 0, 1, None),
    ]


def test_a_cell_measured_after_it_failed_is_measured() -> None:
    frame = status_frame([cell("cars", "1")], ["1"], failed(("1", "once")))
    assert frame.rows() == [("m", "x", "cars", 1, 0, 0, None)]


def test_what_is_in_the_store_and_not_wanted_is_not_counted() -> None:
    frame = status_frame([cell("cars", "1")], ["9"], failed(("8", "old")))
    assert frame.rows() == [("m", "x", "cars", 0, 0, 1, None)]


def test_nothing_wanted_gives_an_empty_frame() -> None:
    assert status_frame([], [], failed()).height == 0
