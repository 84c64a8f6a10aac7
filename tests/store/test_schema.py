"""Rows are checked before they are written, and equal rows give equal bytes."""

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from tests.store.cases import make_cell, make_rows
from vlmsel.errors import StoreError
from vlmsel.store.schema import (
    PROFILE_SCHEMA,
    check_accuracy_rows,
    check_profile_rows,
    from_bytes,
    to_bytes,
)

CELL = make_cell()


def with_value(rows: pa.Table, column: str, row: int, value: object) -> pa.Table:
    values = rows[column].to_pylist()
    values[row] = value
    index = rows.column_names.index(column)
    return rows.set_column(index, column, pa.array(values, rows.schema.field(column).type))


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(9)))
def test_bytes_do_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    rows = make_rows(CELL, images=["a", "b"], failed=["c", "d", "e"])
    about = {"key": CELL.key}
    expected = to_bytes(check_profile_rows(rows, "x"), about)
    assert to_bytes(check_profile_rows(rows.take(order), "x"), about) == expected


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(min_value=0, allow_infinity=False, allow_nan=False), min_size=1, max_size=20)
)
def test_values_survive_bit_for_bit(values: list[float]) -> None:
    rows = make_rows(CELL, images=["a"], n_blocks=len(values))
    index = rows.column_names.index("conductance")
    rows = rows.set_column(index, "conductance", pa.array(values, pa.float64()))
    data = to_bytes(check_profile_rows(rows, "x"), {})
    assert from_bytes([data], PROFILE_SCHEMA, "x")["conductance"].to_list() == values


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("conductance", float("nan")),
        ("conductance", float("inf")),
        ("conductance", -1.0),
        ("conductance", None),
        ("block", None),
        ("block_name", None),
        ("reason", "failed but with values"),
    ],
)
def test_a_row_is_measured_or_failed(column: str, value: object) -> None:
    rows = with_value(make_rows(CELL, failed=["c"]), column, 0, value)
    with pytest.raises(StoreError, match=r"image a, block .* is neither measured"):
        check_profile_rows(rows, "x")


def test_zero_is_a_value() -> None:
    rows = with_value(make_rows(CELL), "conductance", 0, 0.0)
    assert check_profile_rows(rows, "x").num_rows == rows.num_rows


def test_a_repeated_block_is_refused() -> None:
    rows = make_rows(CELL)
    with pytest.raises(StoreError, match="image a, block 0 comes twice"):
        check_profile_rows(pa.concat_tables([rows, rows.slice(0, 1)]), "x")


def test_wrong_columns_are_named() -> None:
    rows = make_rows(CELL)
    with pytest.raises(StoreError, match="image_id"):
        check_profile_rows(rows.drop_columns(["image_id"]), "x")
    with pytest.raises(StoreError, match="rank"):
        check_profile_rows(rows.append_column("rank", pa.array([0] * rows.num_rows)), "x")
    with pytest.raises(StoreError, match="no rows"):
        check_profile_rows(rows.slice(0, 0), "x")


def test_null_image_is_refused() -> None:
    with pytest.raises(StoreError, match="null"):
        check_profile_rows(with_value(make_rows(CELL), "image_id", 0, None), "x")


@pytest.mark.parametrize("value", [-0.1, 1.1, 84.3])
def test_accuracy_is_a_fraction(value: float) -> None:
    row = {"model": ["m"], "pretrained": ["p"], "task": ["t"], "acc1": [value]}
    with pytest.raises(StoreError, match=r"not a fraction"):
        check_accuracy_rows(pa.table(row), "x")


def test_accuracy_is_one_row() -> None:
    row = {"model": ["m"] * 2, "pretrained": ["p"] * 2, "task": ["t"] * 2, "acc1": [0.1, 0.2]}
    with pytest.raises(StoreError, match="one row"):
        check_accuracy_rows(pa.table(row), "x")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet at all" * 9])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="some/file"):
        from_bytes([data], PROFILE_SCHEMA, "some/file")
