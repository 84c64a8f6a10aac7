"""Files that commands write where a user says: whole or absent, as those of a store."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from vlmsel.csv_tables import csv_bytes
from vlmsel.errors import StoreError
from vlmsel.store.local_folder import LocalFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_output(file: Path, content: bytes | str, option: str) -> None:
    """Write a file in one step: a reader sees the old one or the whole new one.

    A link is followed; what is no regular file, as a pipe, is written to as it is.

    Args:
        file: absolute.
        content: text is written as UTF-8.
        option: that named the file, for the message.

    Raises:
        StoreError: it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            file.write_bytes(data)
            return
        target = file.resolve()
    except OSError as error:
        raise StoreError(f"{option} {file} cannot be written: {error.strerror}") from None
    try:
        LocalFolder(target.parent).write_atomic(target.name, data)
    except StoreError as error:
        why = getattr(error.__cause__, "strerror", None) or error
        raise StoreError(f"{option} {file} cannot be written: {why}") from None


def write_output_table(file: Path, table: pl.DataFrame, option: str) -> None:
    """Write a table as Parquet or, under any other suffix, as CSV; see `write_output`."""
    if file.suffix == ".parquet":
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        write_output(file, buffer.getvalue(), option)
    else:
        write_output(file, csv_bytes(table), option)


def write_output_figure(file: Path, figure: "Figure", option: str) -> None:
    """Write a figure as SVG whose text is text and whose ids are the same in every run."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": file.stem}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_output(file, buffer.getvalue(), option)
