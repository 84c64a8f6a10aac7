"""Rows as the bytes of a Parquet file, and back: the one way for every file of a store.

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


def to_polars(table: pa.Table) -> pl.DataFrame:
    """The same columns in polars."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def make_empty(schema: pa.Schema) -> pa.Table:
    """A table without rows: `schema.empty_table()` without its import of pandas."""
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


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


def from_bytes(
    files: Sequence[bytes], schema: pa.Schema, where: str, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The rows of stored files, one after the other; one call for all, since each call costs.

    Args:
        files: their bytes.
        schema: what each holds.
        where: for messages.
        columns: which to read; all if None.

    Raises:
        StoreError: a file is no Parquet file or holds other columns than `schema`.
    """
    empty = to_polars(make_empty(schema))
    if not files:
        return empty.select(columns) if columns else empty
    try:
        return pl.read_parquet(
            [io.BytesIO(data) for data in files],
            columns=None if columns is None else list(columns),
            schema=empty.schema,
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(
            f"{where} is not a file of this store (schema {SCHEMA_VERSION}): {error}"
        ) from error
