"""Read Parquet files with a column `image` (bytes or a struct with `bytes`) and maybe `label`."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from vlmsel.errors import TaskError
from vlmsel.tasks.decode import MAX_IMAGE_BYTES
from vlmsel.tasks.found import FoundImage
from vlmsel.tasks.locations import display, open_source, reason
from vlmsel.tasks.outages import read_error

IMAGE_COLUMN = "image"
LABEL_COLUMN = "label"
BATCH_ROWS = 64


def scan_parquet(uri: str) -> list[FoundImage]:
    """Every row of a file as an image; one without bytes is empty, which decodes to an error.

    Raises:
        TaskError: no Parquet, no image column, or labels that are no whole numbers.
    """
    with _opened(uri) as file:
        labelled = _has_labels(uri, file.schema_arrow)
        found: list[FoundImage] = []
        columns = [IMAGE_COLUMN, LABEL_COLUMN] if labelled else [IMAGE_COLUMN]
        for batch in file.iter_batches(BATCH_ROWS, columns=columns):
            labels = batch[LABEL_COLUMN].to_pylist() if labelled else [None] * len(batch)
            for data, label in zip(_bytes(batch), labels, strict=True):
                row = str(len(found))
                found.append(FoundImage(row, row, hashlib.sha256(data).hexdigest(), label))
        return found


def read_parquet(uri: str, rows: set[str]) -> Iterator[tuple[str, bytes | TaskError]]:
    """The bytes of the named rows, in order; row groups without one are skipped.

    Raises:
        TaskError: as `scan_parquet`.
    """
    wanted = {int(row) for row in rows}
    with _opened(uri) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            if any(start <= row < start + length for row in wanted):
                yield from _read_group(file, group, start, wanted)
            start += length


def _read_group(
    file: pq.ParquetFile, group: int, start: int, wanted: set[int]
) -> Iterator[tuple[str, bytes | TaskError]]:
    row = start
    for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[IMAGE_COLUMN]):
        for data in _bytes(batch):
            if row in wanted:
                large = len(data) > MAX_IMAGE_BYTES
                msg = f"{len(data)} bytes, more than {MAX_IMAGE_BYTES} allowed"
                yield str(row), TaskError(msg) if large else data
            row += 1


def _bytes(batch: pa.RecordBatch) -> list[bytes]:
    column = batch[IMAGE_COLUMN]
    if pa.types.is_struct(column.type):
        column = column.field("bytes") if column.null_count == 0 else column.flatten()[0]
    return [data or b"" for data in column.to_pylist()]


@contextmanager
def _opened(uri: str) -> Iterator[pq.ParquetFile]:
    with open_source(uri) as stream:
        try:
            with pq.ParquetFile(stream) as file:
                _require_image_column(uri, file.schema_arrow)
                yield file
        except (pa.ArrowException, OSError) as error:
            msg = f"{display(uri)} is no readable Parquet: {reason(error)}"
            raise read_error(msg, error) from None


def _require_image_column(uri: str, schema: pa.Schema) -> None:
    if IMAGE_COLUMN not in schema.names:
        msg = (
            f"{display(uri)} has no column '{IMAGE_COLUMN}'; its columns: {', '.join(schema.names)}"
        )
        raise TaskError(msg)
    kind = schema.field(IMAGE_COLUMN).type
    inner = kind.field("bytes").type if _has_bytes(kind) else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        msg = f"{display(uri)}: column '{IMAGE_COLUMN}' must hold bytes or a struct with bytes"
        raise TaskError(f"{msg}, not {kind}")


def _has_labels(uri: str, schema: pa.Schema) -> bool:
    if LABEL_COLUMN not in schema.names:
        return False
    kind = schema.field(LABEL_COLUMN).type
    if not pa.types.is_integer(kind):
        raise TaskError(f"{display(uri)}: column '{LABEL_COLUMN}' must be integer, not {kind}")
    return True


def _has_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
