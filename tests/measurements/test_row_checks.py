"""Rows of every kind are checked before they are stored."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from tests.store.cases import PROFILE, make_cell, make_predictions, make_rows
from vlmsel.errors import StoreError
from vlmsel.measurements import Embedding, Measurement, Prediction
from vlmsel.measurements.row_checks import check_rows

CELL = make_cell()
EMBEDDING, PREDICTION = Embedding(), Prediction()


def make_embeddings(images: tuple[str, ...] = ("a", "b"), failed: tuple[str, ...] = ()) -> pa.Table:
    names = [*images, *failed]
    return pa.table(
        {
            "model": ["RN50"] * len(names),
            "pretrained": ["openai"] * len(names),
            "task": ["eurosat"] * len(names),
            "image_id": names,
            "image_sha256": names,
            "vector": [[1.0, 2.0, 3.0]] * len(images) + [None] * len(failed),
            "reason": [None] * len(images) + ["truncated"] * len(failed),
        },
        schema=Embedding.row_schema(),
    )


Make = Callable[..., pa.Table]
KINDS: dict[str, tuple[Measurement, Make]] = {
    "profile": (PROFILE, lambda **some: make_rows(CELL, **some)),
    "prediction": (PREDICTION, lambda **some: make_predictions(CELL, **some)),
    "embedding": (EMBEDDING, make_embeddings),
}
every_kind = pytest.mark.parametrize(("measurement", "make"), KINDS.values(), ids=KINDS)


def with_value(rows: pa.Table, column: str, row: int, value: object) -> pa.Table:
    values = rows[column].to_pylist()
    values[row] = value
    index = rows.column_names.index(column)
    return rows.set_column(index, column, pa.array(values, rows.schema.field(column).type))


@every_kind
def test_rows_come_back_sorted_with_all_columns(measurement: Measurement, make: Make) -> None:
    rows = make(images=("b", "a"), failed=("c",))
    found = check_rows(measurement, rows, "x")
    assert found.schema == measurement.row_schema()
    assert found["image_id"].to_pylist() == sorted(rows["image_id"].to_pylist())
    assert check_rows(measurement, found, "x").equals(found)
    assert check_rows(measurement, make(images=(), failed=("c",)), "x").num_rows == 1


@every_kind
def test_a_nullable_column_may_be_absent(measurement: Measurement, make: Make) -> None:
    rows = make().drop_columns(["reason"])
    assert check_rows(measurement, rows, "x")["reason"].null_count == rows.num_rows


@every_kind
def test_wrong_columns_are_named(measurement: Measurement, make: Make) -> None:
    rows = make()
    with pytest.raises(StoreError, match="image_id"):
        check_rows(measurement, rows.drop_columns(["image_id"]), "x")
    with pytest.raises(StoreError, match="rank"):
        check_rows(measurement, rows.append_column("rank", pa.array([0] * rows.num_rows)), "x")
    with pytest.raises(StoreError, match="no rows"):
        check_rows(measurement, rows.slice(0, 0), "x")
    words = pa.array(["many"] * rows.num_rows)
    last = measurement.values.names[-1]
    place = rows.column_names.index(last)
    with pytest.raises(StoreError, match="cell 7: a column has the wrong type or a null"):
        check_rows(measurement, rows.set_column(place, last, words), "cell 7")


@every_kind
@pytest.mark.parametrize("column", ["image_id", "image_sha256", "model", "pretrained", "task"])
def test_a_row_says_which_image_it_is_of(measurement: Measurement, make: Make, column: str) -> None:
    with pytest.raises(StoreError, match="null"):
        check_rows(measurement, with_value(make(), column, 0, None), "x")


@every_kind
def test_a_row_is_measured_or_failed(measurement: Measurement, make: Make) -> None:
    rows = make(failed=("c",))
    for column in measurement.values.names:
        without = with_value(rows, column, 0, None)
        if column in measurement.optional:
            assert check_rows(measurement, without, "x").num_rows == rows.num_rows
            continue
        with pytest.raises(StoreError, match=r"image a.* is neither measured .* nor failed"):
            check_rows(measurement, without, "x")
    with pytest.raises(StoreError, match=r"image a.* is neither measured .* 'reason': 'but why'"):
        check_rows(measurement, with_value(rows, "reason", 0, "but why"), "x")
    with pytest.raises(StoreError, match=r"image c.* is neither measured"):
        check_rows(measurement, with_value(rows, "reason", rows.num_rows - 1, None), "x")


@every_kind
def test_a_failed_row_holds_no_value_at_all(measurement: Measurement, make: Make) -> None:
    rows = make(failed=("c",))
    for column in measurement.values.names:
        value = rows[column][0].as_py()
        with pytest.raises(StoreError, match=r"image c.* is neither measured"):
            check_rows(measurement, with_value(rows, column, rows.num_rows - 1, value), "x")


@every_kind
def test_a_row_that_comes_twice_is_refused(measurement: Measurement, make: Make) -> None:
    rows = make(failed=("c",))
    for place, complaint in (
        (0, "image a.*: it comes twice"),
        (rows.num_rows - 1, "image c.*: it comes twice"),
    ):
        with pytest.raises(StoreError, match=complaint):
            check_rows(measurement, pa.concat_tables([rows, rows.slice(place, 1)]), "x")


def test_a_block_that_comes_twice_is_named() -> None:
    rows = make_rows(CELL)
    with pytest.raises(StoreError, match="image a, block 1: it comes twice"):
        check_rows(PROFILE, pa.concat_tables([rows, rows.slice(1, 1)]), "x")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_conductance_is_a_finite_number_from_zero(value: float) -> None:
    rows = with_value(make_rows(CELL, failed=["c"]), "conductance", 1, value)
    with pytest.raises(
        StoreError, match=r"x: image a, block 1: its conductance is not a finite num"
    ):
        check_rows(PROFILE, rows, "x")


def test_zero_is_a_value() -> None:
    rows = with_value(make_rows(CELL), "conductance", 0, 0.0)
    assert check_rows(PROFILE, rows, "x").num_rows == rows.num_rows


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("argmax", 1, "argmax is not the first of top"),
        ("top", [0, 2], "top names a class that is not there"),
        ("top", [0, -1], "top names a class that is not there"),
        ("top", [0], "top has not its length"),
        ("top", [0, 1, 1], "top has not its length"),
        ("logits", [4.0], "logits have not their length"),
        ("logits", [4.0, 1.0, 0.0], "logits have not their length"),
        ("logits", [4.0, float("nan")], "a logit is not finite"),
        ("logits", [float("inf"), 1.0], "a logit is not finite"),
        ("log_sum_exp", float("nan"), "log_sum_exp is not finite"),
        ("log_sum_exp", float("-inf"), "log_sum_exp is not finite"),
    ],
)
def test_impossible_answers_are_named(column: str, value: object, complaint: str) -> None:
    rows = with_value(make_predictions(CELL, failed=["c"]), column, 1, value)
    with pytest.raises(StoreError, match=f"image b: {complaint}"):
        check_rows(PREDICTION, rows, "x")


@pytest.mark.parametrize(
    ("logits", "n_classes", "n_top", "n_logits"),
    [("full", 2, 2, 2), ("full", 9, 5, 9), (1, 9, 5, 5), (7, 9, 7, 7), (7, 3, 3, 3)],
)
def test_how_many_classes_are_kept(
    logits: object, n_classes: int, n_top: int, n_logits: int
) -> None:
    measurement = Prediction(logits=logits)
    rows = with_value(make_predictions(CELL, images=["a"]), "n_classes", 0, n_classes)
    rows = with_value(rows, "top", 0, list(range(n_top)))
    rows = with_value(rows, "logits", 0, [1.0] * n_logits)
    assert check_rows(measurement, rows, "x").num_rows == 1
    for column, length in (("top", n_top + 1), ("top", n_top - 1), ("logits", n_logits + 1)):
        value = [0] * length if column == "top" else [1.0] * length
        with pytest.raises(StoreError, match="image a: "):
            check_rows(measurement, with_value(rows, column, 0, value), "x")


@pytest.mark.parametrize("value", [[1.0, float("nan"), 0.0], [float("-inf"), 0.0, 0.0]])
def test_a_vector_is_finite(value: list[float]) -> None:
    with pytest.raises(StoreError, match="image b: its vector is not finite"):
        check_rows(EMBEDDING, with_value(make_embeddings(), "vector", 1, value), "x")


def test_vectors_have_one_length() -> None:
    with pytest.raises(StoreError, match="its vector has another length"):
        check_rows(EMBEDDING, with_value(make_embeddings(), "vector", 1, [1.0, 2.0]), "x")


@pytest.mark.parametrize(
    ("measurement", "column", "value"),
    [
        (EMBEDDING, "vector", [1.0, None, 2.0]),
        (PREDICTION, "logits", [4.0, None]),
        (PREDICTION, "top", [0, None]),
    ],
)
def test_a_list_has_no_gaps(measurement: Measurement, column: str, value: list) -> None:
    rows = KINDS[measurement.kind][1]()
    with pytest.raises(StoreError, match="image b"):
        check_rows(measurement, with_value(rows, column, 1, value), "x")
