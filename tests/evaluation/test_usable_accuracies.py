"""The usable cells of an accuracy table."""

import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.usable_accuracies import known_accuracies


def table(*rows: tuple[str, str, float | None]) -> pl.DataFrame:
    names = pl.DataFrame(list(rows), schema=["model", "task", "acc1"], orient="row")
    return names.with_columns(pretrained=pl.lit("x"), note=pl.lit("ignored"))


def test_unknown_cells_go_and_equal_rows_count_once() -> None:
    rows = table(("b", "t", 0.5), ("a", "t", None), ("a", "u", float("nan")), ("b", "t", 0.5))
    assert known_accuracies(rows).rows() == [("b", "x", "t", 0.5)]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", "t", 0.5), ("a", "t", 0.6)], "a/x has two different accuracies on t"),
        ([("a", "t", 0.5), ("b", "t", 63.2)], "b/x on t is 63.2, not a share of 1"),
        ([("a", "t", -0.1)], "not a share of 1"),
        ([("a", "t", None)], "no finite acc1"),
    ],
)
def test_refused(rows: list[tuple[str, str, float | None]], words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        known_accuracies(table(*rows))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SelectionError, match="no column 'task'"):
        known_accuracies(table(("a", "t", 0.5)).drop("task"))
