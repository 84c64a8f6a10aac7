"""Files of exported tables: CSV, Parquet, LaTeX; whole or absent, and never over another file."""

import io
import re
from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.published.cell_guards import guard_cells

SUFFIXES = (".csv", ".parquet", ".tex")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
_LATEX_MARKS = re.compile("[" + re.escape("".join(_LATEX)) + "]")
PERCENT_DECIMALS = 1


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a file that cannot be written, before the work.

    Raises:
        StoreError: it has no known suffix, is there already, or is a folder.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise StoreError(f"{target} says no format: end the name in .csv, .parquet or .tex (LaTeX)")
    if target.is_dir():
        raise StoreError(f"{target} is a folder: name a file")
    if target.exists() and not overwrite:
        raise StoreError(f"{target} is there already: choose another name, or --overwrite")


def table_bytes(frame: pl.DataFrame, suffix: str) -> bytes:
    """A table as the content of a file of that suffix.

    Cells of CSV that a spreadsheet would take for a formula are guarded, see `cell_guards`; numbers
    are written so that they come back exactly. LaTeX is for reading: fractions as percent with one
    decimal.
    """
    kind = suffix.lower()
    if kind == ".parquet":
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        return buffer.getvalue()
    if kind == ".tex":
        return latex(frame).encode()
    return guard_cells(frame).write_csv(quote_style="necessary").encode()


def latex(frame: pl.DataFrame) -> str:
    r"""A tabular for booktabs, without a float around it: text to the left, numbers to the right.

    Needs ``\usepackage{booktabs}``; a missing value is ``--``.
    """
    sides = "".join("r" if dtype.is_numeric() else "l" for dtype in frame.dtypes)
    lines = [f"\\begin{{tabular}}{{{sides}}}", r"\toprule", _row(frame.columns), r"\midrule"]
    lines += [_row([_cell(value) for value in row]) for row in frame.iter_rows()]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _row(cells: list[str]) -> str:
    return " & ".join(_escape(cell) for cell in cells) + r" \\"


def _cell(value: object) -> str:
    if value is None:
        return "--"
    if isinstance(value, float):
        return f"{100 * value:.{PERCENT_DECIMALS}f}"
    return " ".join(str(value).split())


def _escape(text: str) -> str:
    return _LATEX_MARKS.sub(lambda mark: _LATEX[mark[0]], text)
