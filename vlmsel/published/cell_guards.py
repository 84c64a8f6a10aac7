"""Guards of text cells, so that no spreadsheet takes a name in a CSV file for a formula.

A cell that would be one gets an apostrophe in front, and so does a cell that looks guarded already:
every text comes back as it was.
"""

from collections.abc import Callable

import polars as pl

# What makes a spreadsheet calculate, or hides that from a look at the first character.
_STARTS = "[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]"
_RISKY = f"^'*{_STARTS}"
_GUARDED = f"^'+{_STARTS}"


def guard_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Guard the text cells and the column names of a table."""
    cells = pl.col(pl.String)
    guarded = pl.when(cells.str.contains(_RISKY)).then(pl.lit("'") + cells).otherwise(cells)
    return _rename(
        frame.with_columns(guarded.name.keep()), _names(frame.columns, _RISKY, "'{}".format)
    )


def unguard_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Take the guards away again."""
    cells = pl.col(pl.String)
    plain = pl.when(cells.str.contains(_GUARDED)).then(cells.str.slice(1)).otherwise(cells)
    return _rename(
        frame.with_columns(plain.name.keep()),
        _names(frame.columns, _GUARDED, lambda name: name[1:]),
    )


def _names(names: list[str], pattern: str, change: Callable[[str], str]) -> list[str]:
    found = pl.Series(names, dtype=pl.String).str.contains(pattern)
    return [change(name) if hit else name for name, hit in zip(names, found, strict=True)]


def _rename(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    return frame.rename(dict(zip(frame.columns, names, strict=True)))
