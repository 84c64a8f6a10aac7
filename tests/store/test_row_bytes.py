"""Equal rows give equal bytes, values survive, and only the asked columns are read."""

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from tests.store.cases import PROFILE, make_cell, make_rows
from vlmsel.errors import StoreError
from vlmsel.measurements import Prediction
from vlmsel.measurements.row_checks import check_rows
from vlmsel.store.row_bytes import from_bytes, to_bytes

CELL = make_cell()
SCHEMA = PROFILE.row_schema()


def stored(rows: pa.Table, about: dict[str, str] | None = None) -> bytes:
    return to_bytes(check_rows(PROFILE, rows, "x"), about or {})


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(9)))
def test_bytes_do_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    rows = make_rows(CELL, images=["a", "b"], failed=["c", "d", "e"])
    about = {"key": CELL.key}
    assert stored(rows.take(order), about) == stored(rows, about)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(min_value=0, allow_infinity=False, allow_nan=False), min_size=1, max_size=20)
)
def test_values_survive_bit_for_bit(values: list[float]) -> None:
    rows = make_rows(CELL, images=["a"], n_blocks=len(values))
    index = rows.column_names.index("conductance")
    rows = rows.set_column(index, "conductance", pa.array(values, pa.float64()))
    assert from_bytes([stored(rows)], SCHEMA, "x")["conductance"].to_list() == values


def test_files_are_read_one_after_the_other_and_some_columns_of_them() -> None:
    files = [stored(make_rows(CELL, images=[image], n_blocks=2)) for image in "ba"]
    assert from_bytes(files, SCHEMA, "x")["image_id"].to_list() == ["b", "b", "a", "a"]
    some = from_bytes(files, SCHEMA, "x", ["block", "image_id"])
    assert some.sort("image_id", "block").select("image_id", "block").rows() == [
        *(("a", 0), ("a", 1), ("b", 0), ("b", 1)),
    ]
    assert set(some.columns) == {"block", "image_id"}


def test_of_no_files_there_are_the_columns() -> None:
    assert from_bytes([], SCHEMA, "x").columns == SCHEMA.names
    assert from_bytes([], SCHEMA, "x", ["block"]).columns == ["block"]
    assert from_bytes([], SCHEMA, "x").is_empty()


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet at all" * 9])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="some/file"):
        from_bytes([data], SCHEMA, "some/file")


@pytest.mark.parametrize("columns", [None, ["argmax"]])
def test_a_file_of_another_kind_is_refused(columns: list[str] | None) -> None:
    with pytest.raises(StoreError, match="some/file is not a file of this store"):
        from_bytes([stored(make_rows(CELL))], Prediction.row_schema(), "some/file", columns)
