"""Reading and cleaning of published tables: what is taken, left out (and why) or refused."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from vlmsel.columns import CELL
from vlmsel.errors import StoreError, first_line
from vlmsel.published.cell_guards import unguard_cells
from vlmsel.published.names import NameTable, fold

MISSING = ("", "-", "na", "n/a", "#n/a", "nan", "null", "none")
NO_TEXT = "is not UTF-8 text; save it again as CSV UTF-8"
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
# So many values at or below 1 % look like fractions; a good model far below its task's others, too.
ENOUGH = 3
GOOD = 20.0
LEFT_OUT = {"what": pl.String, "name": pl.String, "count": pl.Int64, "reason": pl.String}


@dataclass(frozen=True)
class Imported:
    """A published table in our names, and what of it could not be used.

    Attributes:
        frame: long table, ready for the store.
        left_out: what (task, model, profile, row, value, column), name, count, reason.
        doubts: what was taken as it stands and looks wrong, one line each.
    """

    frame: pl.DataFrame
    left_out: pl.DataFrame
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Collects what a reader leaves out, and what it doubts."""

    rows: list[tuple[str, str, int, str]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def add(self, what: str, name: str, count: int, reason: str) -> None:
        """Note `count` things of one kind."""
        self.rows.append((what, name, count, reason))

    def add_groups(self, what: str, rows: pl.DataFrame, by: Sequence[str], reason: str) -> None:
        """Note `rows`, counted by the columns `by`."""
        for *parts, count in rows.group_by(by).len().sort(by).iter_rows():
            self.add(what, "/".join(str(part) for part in parts), count, reason)

    def frame(self) -> pl.DataFrame:
        """All notes as a table."""
        return pl.DataFrame(self.rows, schema=LEFT_OUT, orient="row")


def read_csv(path: str | Path, expected: Sequence[str]) -> pl.DataFrame:
    """All cells of a CSV or Parquet file as stripped text, missing ones as null.

    Raises:
        StoreError: the file is absent, empty, no table, or lacks one of the `expected` columns.
    """
    frame = raw_cells(path)
    absent = [name for name in expected if name not in frame.columns]
    if absent:
        raise StoreError(
            f"table {path} has another layout: expected columns {', '.join(expected)}, "
            f"found {', '.join(frame.columns[:12])}{', ...' if len(frame.columns) > 12 else ''}"
        )
    if frame.height == 0:
        raise StoreError(f"table {path} has a header and no rows")
    cell = pl.all().str.strip_chars()
    return frame.select(pl.when(~cell.str.to_lowercase().is_in(MISSING)).then(cell).name.keep())


def raw_cells(path: str | Path) -> pl.DataFrame:
    """All cells of a CSV or Parquet file as text, as they are written.

    Raises:
        StoreError: the file is absent, empty, or no table.
    """
    return _parquet_cells(path) if is_parquet(path) else unguard_cells(_csv_cells(path))


def is_parquet(path: str | Path) -> bool:
    """Return whether the file is named as Parquet; whatever it holds, it is read as that."""
    return Path(path).suffix.lower() in (".parquet", ".pq")


def _parquet_cells(path: str | Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except FileNotFoundError as error:
        raise StoreError(f"table {path} is not there") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        fault = first_line(error)
        raise StoreError(f"table {path} cannot be read as Parquet: {fault}") from error
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.drop(nested).cast(pl.String)


def _csv_cells(path: str | Path) -> pl.DataFrame:
    text = _read_text(path)
    header = _header(text, path)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise StoreError(f"table {path} has several columns {', '.join(twice)}; keep one of each")
    try:
        frame = pl.read_csv(text.encode(), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise StoreError(f"table {path} cannot be read as CSV: {_csv_fault(error)}") from error
    return frame


def to_numbers(frame: pl.DataFrame, columns: Iterable[str], path: str | Path) -> pl.DataFrame:
    """`columns` as finite Float64.

    Raises:
        StoreError: a cell is no finite number; names the first.
    """
    for name in columns:
        number = frame[name].cast(pl.Float64, strict=False)
        wrong = frame[name].is_not_null() & ~number.is_finite().fill_null(value=False)
        if wrong.any():
            row = wrong.arg_true()[0]
            shown = ", ".join(str(cell) for cell in frame.row(row)[:4])
            raise StoreError(
                f"table {path}: {frame[name][row]!r} in column {name} is no number (row: {shown})"
            )
        frame = frame.with_columns(number)
    return frame


def to_fractions(
    frame: pl.DataFrame,
    columns: Sequence[str],
    path: str | Path,
    left_out: LeftOut,
    *,
    percent: bool,
) -> pl.DataFrame:
    """Accuracies as fractions in 0..1; under `percent`, what looks like a fraction is doubted.

    Raises:
        StoreError: they are negative, their size contradicts `percent`, or a whole column is on
            another scale than the others.
    """
    limit = 100.0 if percent else 1.0
    for name in columns:
        if row := _first_row(frame.filter(pl.col(name) < 0.0)):
            raise StoreError(f"table {path}: {_cell(row, name)} is negative, no accuracy")
        if row := _first_row(frame.filter(pl.col(name) > limit)):
            advice = "no accuracy" if percent or row[name] > 100.0 else _PERCENT
            raise StoreError(f"table {path}: {_cell(row, name)} is above {limit:g}: {advice}")
    if percent and frame.height:
        filled = [name for name in columns if frame[name].count() >= min(ENOUGH, frame.height)]
        small = [name for name in filled if (frame[name] <= 1.0).all()]
        if small and len(small) == len(filled):
            raise StoreError(
                f"table {path}: no value is above 1, so these are fractions: leave percent out"
            )
        if small:
            raise StoreError(
                f"table {path}: no value in column {', '.join(small)} is above 1, so they are "
                "fractions, and others are percent: write all columns on one scale"
            )
        left_out.doubts.extend(_find_doubtful(frame, columns[0]))
    return frame.with_columns(pl.col(columns) / limit)


def _first_row(rows: pl.DataFrame) -> dict[str, Any]:
    """The first row by name; empty where there is none."""
    return {} if rows.is_empty() else rows.row(0, named=True)


def _cell(row: dict[str, Any], name: str) -> str:
    """A value and where it stands."""
    return f"{name} = {row[name]} ({row['model']}/{row['pretrained']} on {row['task']})"


def _find_doubtful(frame: pl.DataFrame, name: str) -> list[str]:
    """Percentages that may be fractions: below 1 throughout, or far below model and task."""
    known = frame.drop_nulls(name)
    doubts = []
    for by in (["task"], ["model", "pretrained"]):
        small = (
            known.group_by(by, maintain_order=True)
            .agg(n=pl.len(), most=pl.col(name).max())
            .filter(pl.col("most") <= 1.0, pl.col("n") >= ENOUGH)
        )
        doubts += [
            f"all {n} values of {'/'.join(map(str, who))} are at most 1 %: right, or fractions?"
            for *who, n in small.drop("most").iter_rows()
        ]
    median = pl.col(name).median().over("task")
    best = pl.col(name).max().over("model", "pretrained")
    odd = known.filter(pl.col(name) <= 1.0, median >= GOOD, best >= GOOD)
    doubts += [
        f"{_cell(row, name)} is at most 1 %, though model and task reach {GOOD:g} %: right, or a "
        "fraction?"
        for row in odd.iter_rows(named=True)
    ]
    return doubts


_PERCENT = "if these are percent, say so with percent=True (--percent)"


def canonical_tasks(
    frame: pl.DataFrame, names: NameTable, left_out: LeftOut, *, keep_unknown: bool = False
) -> pl.DataFrame:
    """`task` under its canonical name; unknown and non-classification tasks are left out.

    With `keep_unknown` an unknown task stays under the name that the table gives it, and is noted
    as a doubt.
    """
    spellings = names.spellings()
    written = frame["task"].unique().drop_nulls().to_list()
    known = {name: spellings[fold(name)] for name in written if fold(name) in spellings}
    if keep_unknown:
        unknown = sorted(set(written) - set(known))
        left_out.doubts.extend(f"task {name} is not in the name table: kept" for name in unknown)
        known.update({name: name for name in unknown})
    left_out.add_groups(
        "task",
        frame.filter(~pl.col("task").is_in(list(known))),
        ["task"],
        "unknown name: give it a line in a file for --names (docs/internals/store.md)",
    )
    other = [
        name
        for name, task in known.items()
        if task in names.tasks and names.tasks[task].kind != "classification"
    ]
    for name in sorted(other):
        kind = names.tasks[known[name]].kind
        count = frame.filter(pl.col("task") == name).height
        left_out.add("task", name, count, f"a {kind} task, no classification accuracy")
    taken = {name: task for name, task in known.items() if name not in other}
    frame = frame.filter(pl.col("task").is_in(list(taken)))
    return frame.with_columns(pl.col("task").replace_strict(taken, return_dtype=pl.String))


def canonical_models(
    frame: pl.DataFrame, names: NameTable, left_out: LeftOut, *, quickgelu: bool
) -> pl.DataFrame:
    """`model`, `pretrained` in open_clip's words; with `quickgelu` under the right activation.

    A row renamed onto a (model, task) that the table also prints under the right name is left out.
    """
    nameless = pl.col("model").is_null() | pl.col("pretrained").is_null()
    left_out.add_groups(
        "model", frame.filter(nameless), ["model"], "no model or no pretrained tag given"
    )
    frame = frame.filter(~nameless)
    pairs = frame.select("model", "pretrained").unique().rows()
    renamed = pl.DataFrame(
        [(*pair, *names.model(*pair, quickgelu=quickgelu)) for pair in pairs],
        schema=["model", "pretrained", "to_model", "to_pretrained"],
        orient="row",
    )
    renamed = renamed.cast(pl.String)
    frame = frame.join(renamed, on=["model", "pretrained"], how="left", maintain_order="left")
    moved = pl.col("model") != pl.col("to_model")
    place = ["to_model", "to_pretrained", "task"]
    right = frame.filter(~moved).select(place).unique()
    shadowed = frame.filter(moved).join(right, on=place, how="semi")
    left_out.add_groups(
        "model", shadowed, ["model", "pretrained"], "the table has it under its right name too"
    )
    kept = pl.concat([frame.filter(~moved), frame.filter(moved).join(right, on=place, how="anti")])
    return kept.with_columns(model="to_model", pretrained="to_pretrained").drop(
        "to_model", "to_pretrained"
    )


def drop_duplicates(
    frame: pl.DataFrame, key: Sequence[str], path: str | Path, left_out: LeftOut
) -> pl.DataFrame:
    """Rows that come twice, once.

    Raises:
        StoreError: two rows of one `key` differ; names the first few.
    """
    unique = frame.unique(maintain_order=True)
    if unique.height < frame.height:
        left_out.add("row", "duplicates", frame.height - unique.height, "identical rows, kept once")
    twice = unique.filter(unique.select(key).is_duplicated()).select(key).unique().sort(key)
    if twice.height:
        shown = "; ".join("/".join(str(part) for part in row) for row in twice.head(3).iter_rows())
        raise StoreError(
            f"table {path} contradicts itself for {twice.height} {' x '.join(key)}: {shown}"
            f"{'; ...' if twice.height > 3 else ''}; keep one row of each"
        )
    return unique


def require_rows(long: pl.DataFrame, path: str | Path, left_out: LeftOut) -> Imported:
    """The result of a reader.

    Raises:
        StoreError: nothing is left of the table.
    """
    if long.is_empty():
        shown = "; ".join(f"{what} {name}: {why}" for what, name, _, why in left_out.rows[:3])
        raise StoreError(
            f"table {path}: nothing in it can be used ({shown}"
            f"{'; ...' if len(left_out.rows) > 3 else ''})"
        )
    return Imported(long, left_out.frame(), tuple(left_out.doubts))


def present(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    """Rows with an acc1; the others are noted by task."""
    missing = pl.col("acc1").is_null()
    left_out.add_groups("value", long.filter(missing), ["task"], "missing accuracy")
    return long.filter(~missing)


def clean_values(
    long: pl.DataFrame,
    measures: Sequence[str],
    path: str | Path,
    table: NameTable,
    left_out: LeftOut,
    *,
    percent: bool,
    keep_unknown: bool = False,
) -> pl.DataFrame:
    """Long accuracies under canonical tasks, as fractions, without the missing ones.

    Raises:
        StoreError: a cell is no number, or its numbers contradict `percent`.
    """
    long = canonical_tasks(long, table, left_out, keep_unknown=keep_unknown)
    long = present(to_numbers(long, measures, path), left_out)
    return to_fractions(long, measures, path, left_out, percent=percent)


def finish_accuracies(
    long: pl.DataFrame, path: str | Path, table: NameTable, left_out: LeftOut, *, quickgelu: bool
) -> Imported:
    """Accuracies under canonical models, see `complete_rows`."""
    long = canonical_models(long, table, left_out, quickgelu=quickgelu)
    return complete_rows(long, path, left_out)


def complete_rows(long: pl.DataFrame, path: str | Path, left_out: LeftOut) -> Imported:
    """Accuracies with all columns, each cell once; measures that a table lacks are null."""
    for name in ("acc5", "mean_per_class_recall"):
        if name not in long.columns:
            long = long.with_columns(pl.lit(None, pl.Float64).alias(name))
    long = long.select(*CELL, "acc1", "acc5", "mean_per_class_recall")
    long = drop_duplicates(long, CELL, path, left_out)
    long = long.with_columns(n_images=pl.lit(None, pl.Int64))
    return require_rows(long.sort(CELL), path, left_out)


def read_header(path: str | Path) -> list[str]:
    """Names of the columns as the file spells them; polars would rename those that come twice.

    Raises:
        StoreError: the file is absent, empty, no UTF-8 text, or separated by other than commas.
    """
    if is_parquet(path):
        return _parquet_cells(path).columns
    return _header(_read_text(path), path)


def _read_text(path: str | Path) -> str:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"table {path} is not there") from error
    except OSError as error:
        raise StoreError(f"table {path} cannot be read: {error.strerror}") from error
    if content.startswith(b"\x1f\x8b"):
        raise StoreError(f"table {path} is compressed; unpack it with gunzip")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StoreError(f"table {path} {NO_TEXT}") from error
    if "\0" in text:
        raise StoreError(f"table {path} {NO_TEXT}")
    if "\r" in text and "\n" not in text:
        raise StoreError(f"table {path} ends its lines as old Macs did (CR); save it as CSV UTF-8")
    return text


def _header(text: str, path: str | Path) -> list[str]:
    line = next((line for line in text.splitlines() if line.strip()), None)
    if line is None:
        raise StoreError(f"table {path} is empty")
    try:
        names = [name.strip() for name in next(csv.reader([line]))]
    except csv.Error:
        return []
    other = next((c for c in SEPARATORS if len(names) == 1 and c in line), None)
    if other:
        raise StoreError(
            f"table {path} is separated by {SEPARATORS[other]}; save it again separated by commas"
        )
    return names


def _csv_fault(error: Exception) -> str:
    fault = first_line(error)
    if "more fields" in fault:
        return "a row has more fields than the header names; put names with commas in quotes"
    return fault
