"""Checks that the rows of every kind of measurement pass before they are stored."""

import polars as pl
import pyarrow as pa

from vlmsel.errors import RowsError
from vlmsel.measurements.measurement import SHARED, Measurement


def check_rows(measurement: Measurement, rows: pa.Table, what: str) -> pa.Table:
    """Rows of one cell with exactly the columns of their kind, sorted by image and row key.

    A row is measured (its values, no reason) or failed (a reason, no values).

    Args:
        measurement: what they are rows of.
        rows: as a probe made them; a nullable column may be absent.
        what: the cell, for messages.

    Raises:
        RowsError: a row is neither measured nor failed, comes twice, or says something impossible.
    """
    schema = measurement.row_schema()
    key = ["image_id", *measurement.row_key]
    frame = _polars(conform(rows, schema, what)).sort(key)
    conditions = _forbidden_conditions(measurement, frame.schema)
    # All at once: a cell is small, and every query costs as much as its rows.
    is_wrong = frame.select(
        *(condition.any().alias(name) for name, condition in conditions.items()),
        pl.struct(key).is_duplicated().any().alias("it comes twice"),
    ).row(0, named=True)
    for fault in (name for name, found in is_wrong.items() if found):
        condition = conditions.get(fault, pl.struct(key).is_duplicated())
        row = frame.filter(condition).row(0, named=True)
        shown = {name: row[name] for name in frame.columns[len(SHARED) :]}
        place = ", ".join(f"{name} {row[name]}" for name in measurement.row_key)
        raise RowsError(
            f"{what}: image {row['image_id']}{place and f', {place}'}: {fault}: {str(shown)[:300]}"
        )
    return frame.to_arrow().cast(schema)


def _forbidden_conditions(measurement: Measurement, schema: pl.Schema) -> dict[str, pl.Expr]:
    """Return the conditions that no row may fulfil, by their words for people."""
    values = measurement.values.names
    needed = [name for name in values if name not in measurement.optional]
    is_measured = pl.col("reason").is_null()
    lists = [name for name in values if isinstance(schema[name], pl.List)]
    gapless = [pl.col(n).list.drop_nulls().list.len() == pl.col(n).list.len() for n in lists]
    whole = pl.all_horizontal(pl.col(needed).is_not_null(), *gapless)
    empty = pl.all_horizontal(pl.col(values).is_null())
    neither = "it is neither measured (all values, no reason) nor failed (a reason, no values)"
    return {
        neither: ~pl.when(is_measured).then(whole).otherwise(empty),
        **{name: is_measured & condition for name, condition in measurement.faults.items()},
    }


def conform(rows: pa.Table, schema: pa.Schema, what: str) -> pa.Table:
    """`rows` with exactly the columns and types of `schema`; a nullable column may be absent.

    Raises:
        RowsError: a column is missing, unknown, of another type, or null where it must not be.
    """
    unknown = sorted(set(rows.column_names) - set(schema.names))
    missing = [f.name for f in schema if f.name not in rows.column_names and not f.nullable]
    if unknown or missing:
        raise RowsError(
            f"{what}: columns {missing} are missing and {unknown} unknown; expected {schema.names}"
        )
    columns = [
        rows[f.name] if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type)
        for f in schema
    ]
    try:
        table = pa.table(columns, names=schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise RowsError(f"{what}: a column has the wrong type or a null: {error}") from error
    if table.num_rows == 0:
        raise RowsError(f"{what}: there are no rows to write")
    return table.combine_chunks()


def _polars(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
