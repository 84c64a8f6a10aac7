"""Read Parquet files with a column `image` (bytes or a struct with `bytes`) and maybe `label`.

Columns are read as dictionaries, so that a value that many rows share is in memory once: two
kilobytes may hold sixty-four rows of sixty megabytes. What else a file may unfold to has a bound.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader

import pyarrow as pa
import pyarrow.parquet as pq

from vlmsel.errors import TaskError
from vlmsel.tasks.decoder import MAX_IMAGE_BYTES
from vlmsel.tasks.folder_labels import stored_label
from vlmsel.tasks.found_image import FoundImage, unread_digest
from vlmsel.tasks.json_lines import base64_error, decode_text
from vlmsel.tasks.locations import display, is_remote, open_source, reason
from vlmsel.tasks.outages import read_error
from vlmsel.tasks.parquet_pages import page_bytes

IMAGE_COLUMN = "image"
LABEL_COLUMN = "label"
# Exports of questions hold their images as base64 text, too.
QUESTION_COLUMN = "question"
BATCH_ROWS = 64
# Of the values of a batch; a single value is bounded by the page that holds it.
BATCH_BYTES = 128 << 20
# Encoding in which a row says what it shares with the one before.
SHARED_PREFIXES = "DELTA_BYTE_ARRAY"
# Encodings that pyarrow does not read as dictionaries.
UNSHARED = frozenset({SHARED_PREFIXES, "DELTA_LENGTH_BYTE_ARRAY"})
# A row group beyond this size that is so many times larger than its bytes in the file is no group
# of pictures, which hardly shrink.
MAX_UNFOLDED_BYTES, MAX_RATIO = 1 << 29, 20
FOOTER_SLACK_BYTES = 1 << 16
# Rows of a file beyond these cost bytes: a picture has more than sixteen.
MAX_ROWS, MIN_ROW_BYTES = 100_000, 16


def scan_parquet(
    uri: str,
    *,
    max_image_bytes: int = MAX_IMAGE_BYTES,
    max_unfolded_bytes: int = MAX_UNFOLDED_BYTES,
) -> list[FoundImage]:
    """Every row of a file as an image; one without bytes is empty, which decodes to an error.

    Args:
        uri: of the file.
        max_image_bytes: largest image that is hashed.
        max_unfolded_bytes: what a row group may come to in any case.

    Raises:
        TaskError: no Parquet, no image column, labels that are no whole numbers, or more rows or
            bytes than files of its size hold.
    """
    with _open(uri) as file:
        labelled = _has_labels(uri, file.schema_arrow)
        found: list[FoundImage] = []
        digests: dict[int, str] = {}
        columns = [IMAGE_COLUMN, LABEL_COLUMN] if labelled else [IMAGE_COLUMN]
        for group in range(file.metadata.num_row_groups):
            for batch in _batches(uri, file, group, columns, max_unfolded_bytes):
                labels = batch[LABEL_COLUMN].to_pylist() if labelled else [None] * len(batch)
                digests.clear()
                for (place, value), label in zip(_values(batch), labels, strict=True):
                    row = str(len(found))
                    where = f"{display(uri)}, row {row}"
                    if place not in digests:
                        digests[place] = _digest(_decode_bytes(where, value), max_image_bytes)
                    found.append(FoundImage(row, row, digests[place], stored_label(label, where)))
        return found


def read_parquet(
    uri: str, rows: set[str], *, max_image_bytes: int = MAX_IMAGE_BYTES
) -> Iterator[tuple[str, bytes | TaskError]]:
    """The bytes of the named rows, in order; row groups without one are skipped.

    Args:
        uri: of the file.
        rows: their numbers.
        max_image_bytes: largest image.

    Raises:
        TaskError: as `scan_parquet`.
    """
    wanted = {int(row) for row in rows}
    with _open(uri) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            if any(start <= row < start + length for row in wanted):
                yield from _read_group(uri, file, group, start, wanted, max_image_bytes)
            start += length


def _read_group(
    uri: str,
    file: pq.ParquetFile,
    group: int,
    start: int,
    wanted: set[int],
    max_image_bytes: int,
) -> Iterator[tuple[str, bytes | TaskError]]:
    row = start
    for batch in _batches(uri, file, group, [IMAGE_COLUMN]):
        if any(row <= wanted_row < row + len(batch) for wanted_row in wanted):
            paths = _paths(batch)
            for number, (_, value) in enumerate(_values(batch)):
                if row + number in wanted:
                    data = _decode_bytes(f"{display(uri)}, row {row + number}", value)
                    yield str(row + number), _image_bytes(data, paths[number], max_image_bytes)
        row += len(batch)


def _image_bytes(value: pa.Scalar, path: str | None, max_image_bytes: int) -> bytes | TaskError:
    if (size := _size(value)) > max_image_bytes:
        return TaskError(f"{size} bytes, more than {max_image_bytes} allowed")
    data = _bytes(value)
    if not data and path:
        return TaskError(
            f"its row holds a path only ('{path[:200]}'), no bytes: embed the images in the file"
        )
    return data


def _batches(
    uri: str,
    file: pq.ParquetFile,
    group: int,
    columns: list[str],
    max_unfolded_bytes: int = MAX_UNFOLDED_BYTES,
) -> Iterator[pa.RecordBatch]:
    """A row group in batches whose values fit into `BATCH_BYTES`, by what its footer says."""
    about = file.metadata.row_group(group)
    chunks = [about.column(number) for number in range(about.num_columns)]
    chunks = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
    unfolded = sum(chunk.total_uncompressed_size for chunk in chunks)
    folded = sum(chunk.total_compressed_size for chunk in chunks)
    if unfolded > max(max_unfolded_bytes, MAX_RATIO * folded):
        raise TaskError(
            f"{display(uri)}: row group {group} unfolds from {folded} to {unfolded} bytes, which "
            "no pictures do; write it anew"
        )
    row_bytes = max(1, unfolded // max(1, about.num_rows))
    size = max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
    if any(SHARED_PREFIXES in chunk.encodings for chunk in chunks):
        # Each of many rows may hold the beginning of the one before, however large.
        size = 1
    yield from file.iter_batches(size, row_groups=[group], columns=columns)


def _values(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.Scalar]]:
    """For every row where its value is in the batch's dictionary (-1: none), and the value."""
    column = _without_struct(batch[IMAGE_COLUMN])
    if not pa.types.is_dictionary(column.type):
        yield from enumerate(column)
        return
    values = column.dictionary
    for place in column.indices.to_pylist():
        yield (-1, pa.scalar(None)) if place is None else (place, values[place])


def _decode_bytes(where: str, value: pa.Scalar) -> pa.Scalar:
    """The value, or what its base64 text stands for.

    Raises:
        TaskError: it is text and no base64.
    """
    if not _is_text(value.type) or not value.is_valid:
        return value
    text = str(value.as_py())
    try:
        return pa.scalar(decode_text(text), pa.binary())
    except ValueError:
        raise base64_error(where, text) from None


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _without_struct(column: pa.Array) -> pa.Array:
    if not pa.types.is_struct(column.type):
        return column
    number = column.type.get_field_index("bytes")
    return column.field(number) if column.null_count == 0 else column.flatten()[number]


def _paths(batch: pa.RecordBatch) -> list[str | None]:
    column = batch[IMAGE_COLUMN]
    if not pa.types.is_struct(column.type) or column.type.get_field_index("path") < 0:
        return [None] * len(column)
    number = column.type.get_field_index("path")
    paths = column.field(number) if column.null_count == 0 else column.flatten()[number]
    return [None if path is None else str(path) for path in paths.to_pylist()]


def _size(value: pa.Scalar) -> int:
    if not value.is_valid:
        return 0
    buffer = value.as_buffer()
    return 0 if buffer is None else buffer.size


def _bytes(value: pa.Scalar) -> bytes:
    return b"" if _size(value) == 0 else value.as_buffer().to_pybytes()


def _digest(value: pa.Scalar, max_image_bytes: int) -> str:
    if (size := _size(value)) > max_image_bytes:
        return unread_digest(size)
    return hashlib.sha256(value.as_buffer() if size else b"").hexdigest()


@contextmanager
def _open(uri: str) -> Iterator[pq.ParquetFile]:
    with open_source(uri) as stream:
        try:
            with pq.ParquetFile(stream) as file:
                shared = _find_shared_columns(file)
                _require_image_column(uri, file.schema_arrow)
                _require_rows_of_a_size(uri, file)
                _require_honest_pages(uri, file, stream)
            stream.seek(0)
            with pq.ParquetFile(stream, read_dictionary=shared) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            msg = f"{display(uri)} is no readable Parquet: {reason(error)}"
            raise read_error(msg, error) from None


def _find_shared_columns(file: pq.ParquetFile) -> list[str]:
    """Columns to read as dictionaries: those of plain bytes, in encodings that can be."""
    schema, about = file.schema_arrow, file.metadata
    encodings = {
        encoding
        for group in range(about.num_row_groups)
        for number in range(about.num_columns)
        for encoding in about.row_group(group).column(number).encodings
    }
    if encodings & UNSHARED:
        return []
    if schema.get_all_field_indices(IMAGE_COLUMN)[1:] or IMAGE_COLUMN not in schema.names:
        return []
    kind = schema.field(IMAGE_COLUMN).type
    if pa.types.is_binary(kind):
        return [IMAGE_COLUMN]
    if _has_bytes(kind) and pa.types.is_binary(kind.field("bytes").type):
        return [f"{IMAGE_COLUMN}.bytes"]
    return []


def _require_honest_pages(uri: str, file: pq.ParquetFile, stream: BufferedReader) -> None:
    """Refuse a local file whose pages unfold to far more than its footer says.

    Of a file at an address this would cost a request per page: there a page may unfold to the two
    gigabytes that its header can claim.
    """
    if is_remote(uri):
        return
    about = file.metadata
    for group in range(about.num_row_groups):
        for number in range(about.num_columns):
            chunk = about.row_group(group).column(number)
            is_read = chunk.path_in_schema.split(".")[0] in (IMAGE_COLUMN, LABEL_COLUMN)
            # A group without rows has no page.
            if not is_read or not chunk.num_values:
                continue
            try:
                unfolded = sum(page_bytes(stream, chunk))
            except ValueError as error:
                raise TaskError(f"{display(uri)} is no readable Parquet: {error}") from None
            # Some writers count a little less than there is.
            if unfolded > 2 * chunk.total_uncompressed_size + FOOTER_SLACK_BYTES:
                raise TaskError(
                    f"{display(uri)}: pages of row group {group} unfold to {unfolded} bytes, and "
                    f"its footer says {chunk.total_uncompressed_size}; write it anew"
                )


def _require_rows_of_a_size(uri: str, file: pq.ParquetFile) -> None:
    about = file.metadata
    folded = sum(
        about.row_group(group).column(number).total_compressed_size
        for group in range(about.num_row_groups)
        for number in range(about.num_columns)
    )
    if about.num_rows > max(MAX_ROWS, folded // MIN_ROW_BYTES):
        raise TaskError(
            f"{display(uri)} has {about.num_rows} rows in {folded} bytes: they hold no pictures"
        )


def _require_image_column(uri: str, schema: pa.Schema) -> None:
    for column in (IMAGE_COLUMN, LABEL_COLUMN):
        if schema.names.count(column) > 1:
            raise TaskError(f"{display(uri)} has two columns '{column}'; rename one")
    if IMAGE_COLUMN not in schema.names:
        shown = ", ".join(schema.names)[:200]
        raise TaskError(f"{display(uri)} has no column '{IMAGE_COLUMN}'; its columns: {shown}")
    kind = schema.field(IMAGE_COLUMN).type
    inner = kind.field("bytes").type if _has_bytes(kind) else kind
    inner = inner.value_type if pa.types.is_dictionary(inner) else inner
    is_base64 = _is_text(kind) and QUESTION_COLUMN in schema.names
    if not any(is_bytes(inner) for is_bytes in BYTES) and not is_base64:
        msg = f"{display(uri)}: column '{IMAGE_COLUMN}' must hold bytes or a struct with bytes"
        raise TaskError(f"{msg}, not {str(kind)[:200]}")


BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


def _has_labels(uri: str, schema: pa.Schema) -> bool:
    if LABEL_COLUMN not in schema.names:
        return False
    kind = schema.field(LABEL_COLUMN).type
    if not pa.types.is_integer(kind):
        raise TaskError(f"{display(uri)}: column '{LABEL_COLUMN}' must be integer, not {kind}")
    return True


def _has_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
