"""Columns of the stored tables, and the one way to turn rows into bytes and back.

Equal rows give equal bytes: rows are sorted, columns are in a fixed order, and no time is written.
"""

import io
import json
from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from vlmsel.errors import StoreError
from vlmsel.settings import SCHEMA_VERSION

PROFILE_SCHEMA = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("pretrained", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("block", pa.int32()),
        pa.field("block_name", pa.string()),
        pa.field("conductance", pa.float64()),
        pa.field("completeness_error", pa.float64()),
        pa.field("objective", pa.float64()),
        pa.field("reason", pa.string()),
    ]
)

ACCURACY_SCHEMA = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("pretrained", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("acc1", pa.float64(), nullable=False),
        pa.field("acc5", pa.float64()),
        pa.field("mean_per_class_recall", pa.float64()),
        pa.field("n_images", pa.int64()),
    ]
)

IMPORTED_PROFILE_SCHEMA = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("pretrained", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("block", pa.int32(), nullable=False),
        pa.field("block_name", pa.string(), nullable=False),
        pa.field("conductance", pa.float64(), nullable=False),
    ]
)

FRACTIONS = ("acc1", "acc5", "mean_per_class_recall")


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


def to_polars(table: pa.Table) -> pl.DataFrame:
    """The same columns in polars."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def check_profile_rows(rows: pa.Table, what: str) -> pa.Table:
    """Rows of one cell, conformed and sorted by image and block.

    A row is measured (block, block_name, a finite conductance >= 0, no reason) or failed (a reason,
    nulls).

    Raises:
        StoreError: a row is neither, or an (image, block) pair comes twice.
    """
    frame = to_polars(conform(rows, PROFILE_SCHEMA, what)).sort("image_id", "block")
    value, is_measured = pl.col("conductance"), pl.col("reason").is_null()
    has_block = pl.col("block").is_not_null() & pl.col("block_name").is_not_null()
    is_empty = pl.all_horizontal(pl.col("block", "block_name", "conductance").is_null())
    is_number = (value.is_finite() & (value >= 0.0)).fill_null(value=False)
    wrong = frame.filter(~pl.when(is_measured).then(has_block & is_number).otherwise(is_empty))
    if wrong.height:
        row = wrong.row(0, named=True)
        raise StoreError(
            f"{what}: image {row['image_id']}, block {row['block']} is neither measured (a finite "
            f"conductance >= 0) nor failed (a reason, no values): "
            f"conductance {row['conductance']}, reason {row['reason']!r}"
        )
    repeated = frame.filter(frame.select("image_id", "block").is_duplicated())
    if repeated.height:
        row = repeated.row(0, named=True)
        raise StoreError(f"{what}: image {row['image_id']}, block {row['block']} comes twice")
    return frame.to_arrow().cast(PROFILE_SCHEMA)


def check_accuracy_rows(rows: pa.Table, what: str) -> pa.Table:
    """The single row of one accuracy, conformed; accuracies are fractions in 0..1.

    Raises:
        StoreError: there is more than one row, or a value is outside 0..1.
    """
    table = conform(rows, ACCURACY_SCHEMA, what)
    if table.num_rows != 1:
        raise StoreError(f"{what}: one row is expected, not {table.num_rows}")
    for name in FRACTIONS:
        value = table[name][0].as_py()
        if value is not None and not 0.0 <= value <= 1.0:
            raise StoreError(f"{what}: {name} = {value} is not a fraction in 0..1")
    return table


def to_bytes(table: pa.Table, about: dict[str, str]) -> bytes:
    """One Parquet file: zstd, page checksums, `about` in the file's metadata under ``vlmsel``."""
    note = json.dumps({"schema": SCHEMA_VERSION, **about}, sort_keys=True)
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({"vlmsel": note}),
        buffer,
        compression="zstd",
        write_page_checksum=True,
    )
    return buffer.getvalue()


def from_bytes(files: Sequence[bytes], schema: pa.Schema, where: str) -> pl.DataFrame:
    """The rows of stored files, one after the other; one call for all, since each call costs.

    Raises:
        StoreError: a file is no Parquet file or holds other columns than `schema`.
    """
    empty = to_polars(schema.empty_table())
    if not files:
        return empty
    try:
        return pl.read_parquet([io.BytesIO(data) for data in files], schema=empty.schema)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(
            f"{where} is not a file of this store (schema {SCHEMA_VERSION}): {error}"
        ) from error
