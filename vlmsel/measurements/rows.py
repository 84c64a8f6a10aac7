"""Checks that the rows of every kind of measurement pass before they are stored."""

import polars as pl
import pyarrow as pa

from vlmsel.errors import StoreError
from vlmsel.measurements.measurement import Measurement


def check_rows(measurement: Measurement, rows: pa.Table, what: str) -> pa.Table:
    """Rows of one cell with exactly the columns of their kind, sorted by image and row key.

    A row is measured (its values, no reason) or failed (a reason, no values).

    Args:
        measurement: what they are rows of.
        rows: as a probe made them; a nullable column may be absent.
        what: the cell, for messages.

    Raises:
        StoreError: a row is neither measured nor failed, comes twice, or says something impossible.
    """
    schema = measurement.row_schema()
    frame = _polars(conform(rows, schema, what)).sort("image_id", *measurement.row_key)
    values = measurement.values.names
    needed = [name for name in values if name not in measurement.optional]
    is_measured = pl.col("reason").is_null()
    lists = [name for name in values if isinstance(frame.schema[name], pl.List)]
    gapless = [pl.col(n).list.drop_nulls().list.len() == pl.col(n).list.len() for n in lists]
    whole = pl.all_horizontal(pl.col(needed).is_not_null(), *gapless)
    empty = pl.all_horizontal(pl.col(values).is_null())
    wrong = frame.filter(~pl.when(is_measured).then(whole).otherwise(empty))
    if wrong.height:
        row = wrong.row(0, named=True)
        shown = {name: row[name] for name in (*measurement.row_key, *needed)}
        raise StoreError(
            f"{what}: image {row['image_id']} is neither measured (all values, no reason) nor "
            f"failed (a reason, no values): {str(shown)[:200]}, reason {row['reason']!r}"
        )
    twice = frame.filter(frame.select("image_id", *measurement.row_key).is_duplicated())
    if twice.height:
        row = twice.select("image_id", *measurement.row_key).row(0)
        raise StoreError(f"{what}: a row comes twice: {', '.join(map(str, row))}")
    fault = measurement.find_fault(frame.filter(is_measured))
    if fault:
        raise StoreError(f"{what}: {fault}")
    return frame.to_arrow().cast(schema)


def conform(rows: pa.Table, schema: pa.Schema, what: str) -> pa.Table:
    """`rows` with exactly the columns and types of `schema`; a nullable column may be absent.

    Raises:
        StoreError: a column is missing, unknown, of another type, or null where it must not be.
    """
    unknown = sorted(set(rows.column_names) - set(schema.names))
    missing = [f.name for f in schema if f.name not in rows.column_names and not f.nullable]
    if unknown or missing:
        raise StoreError(
            f"{what}: columns {missing} are missing and {unknown} unknown; expected {schema.names}"
        )
    columns = [
        rows[f.name] if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type)
        for f in schema
    ]
    try:
        table = pa.table(columns, names=schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise StoreError(f"{what}: a column has the wrong type or a null: {error}") from error
    if table.num_rows == 0:
        raise StoreError(f"{what}: there are no rows to write")
    return table.combine_chunks()


def _polars(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
