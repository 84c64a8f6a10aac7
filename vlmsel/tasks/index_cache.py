"""Cache of what was read of a task's source files, by their versions in one Parquet file.

A file whose content is found to be another than was remembered is forgotten, however its version
looks: a mark beside the notes says so, and the next reading takes it away.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmsel.cache import cache_dir, write_atomically
from vlmsel.private_temp import UnsafeFolderError
from vlmsel.tasks.found_image import FoundImage
from vlmsel.tasks.sources import SourceFile

Scans = dict[SourceFile, tuple[FoundImage, ...]]
NOTHING = FoundImage("", None, "", None)
SCHEMA = pa.schema(
    [
        # Names of files and members are bytes, which need be no UTF-8.
        ("uri", pa.binary()),
        ("name", pa.binary()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("version", pa.string()),
        ("key", pa.binary()),
        ("member", pa.binary()),
        ("sha256", pa.string()),
        ("label", pa.int64()),
        ("offset", pa.int64()),
        ("bytes", pa.int64()),
    ]
)


def load_scans(path: Path) -> Scans:
    """The remembered scans; none where the file is missing, foreign or damaged."""
    try:
        # Not `read_table`, which imports pandas: longer than reading a thousand such files.
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowException):
        return {}
    if not table.schema.equals(SCHEMA):
        return {}
    found: dict[SourceFile, list[FoundImage]] = {}
    for uri, name, size, mtime_ns, version, *image in zip(
        *(_values(column) for column in table.columns), strict=True
    ):
        images = found.setdefault(SourceFile(uri, name, size, mtime_ns, version), [])
        if (found_image := FoundImage(*image)) != NOTHING:
            images.append(found_image)
    return {source: tuple(images) for source, images in found.items()}


def save_scans(path: Path, scans: Mapping[SourceFile, tuple[FoundImage, ...]]) -> None:
    """Replace the remembered scans; a cache that cannot be written costs time only."""
    rows = [
        (*astuple(s), *astuple(i))
        for s, images in scans.items()
        # A file without an image is remembered too, by one row without a checksum.
        for i in images or (NOTHING,)
    ]
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in SCHEMA]
    arrays = [_array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=SCHEMA), buffer)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError:
        return


def forget_sources(uris: Iterable[str]) -> None:
    """Have source files read anew: their content is another than was remembered."""
    for uri in uris:
        # Without a cache there is nothing to forget.
        with suppress(OSError, UnsafeFolderError):
            write_atomically(_mark(uri), b"")


def take_forgotten(sources: Iterable[SourceFile]) -> set[SourceFile]:
    """Those of some source files that are to be read anew; they are marked no longer."""
    found: set[SourceFile] = set()
    try:
        marks = set(os.listdir(_marks()))
    except (OSError, UnsafeFolderError):
        return found
    for source in sources if marks else ():
        mark = _mark(source.uri)
        if mark.name in marks:
            with suppress(OSError):
                mark.unlink()
            found.add(source)
    return found


def _marks() -> Path:
    return cache_dir() / "changed"


def _mark(uri: str) -> Path:
    return _marks() / hashlib.sha256(os.fsencode(uri)).hexdigest()


def _values(column: pa.ChunkedArray) -> list[Any]:
    values = column.to_pylist()
    if not pa.types.is_binary(column.type):
        return values
    return [None if value is None else os.fsdecode(value) for value in values]


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_binary(kind):
        values = [None if value is None else os.fsencode(value) for value in values]
    return pa.array(values, kind)
