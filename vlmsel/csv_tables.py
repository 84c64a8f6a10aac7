"""CSV files of tables whose names come from outside, which a spreadsheet may open."""

from pathlib import Path

import polars as pl

# A text that begins with one of them is a formula to a spreadsheet: it may run, or fetch, things.
FORMULA = r"^[=+\-@\t\r\n|%]"


def spreadsheet_safe(table: pl.DataFrame) -> pl.DataFrame:
    """The table with an apostrophe before texts that a spreadsheet would take for formulas."""
    texts = pl.col(pl.String)
    return table.with_columns(
        pl.when(texts.str.contains(FORMULA)).then(pl.lit("'") + texts).otherwise(texts).name.keep()
    ).rename({name: _escape(name) for name in table.columns if _escape(name) != name})


def csv_bytes(table: pl.DataFrame) -> bytes:
    """A table as the content of a CSV file that is safe to open in a spreadsheet."""
    return spreadsheet_safe(table).write_csv().encode()


def write_csv(table: pl.DataFrame, path: str | Path) -> None:
    """Write a table as CSV, safe to open in a spreadsheet.

    Raises:
        OSError: it cannot be written.
    """
    spreadsheet_safe(table).write_csv(path)


def _escape(name: str) -> str:
    return f"'{name}" if name[:1] in "=+-@\t\r\n|%" and name else name
