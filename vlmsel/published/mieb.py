"""Reader of MIEB's results in long form: one row per model, task, split and language."""

from enum import StrEnum
from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    canonical_tasks,
    complete_rows,
    present,
    read_csv,
    to_fractions,
    to_numbers,
)
from vlmsel.published.names import NameTable, fold, load_names

ZERO_SHOT_MARK = "ZeroShot"
# MIEB names models by their place on the model hub and has no second name.
PRETRAINED = "hub"
MIEB_COLUMNS = ("model", "task", "main_score", "accuracy")


class Protocol(StrEnum):
    """Protocol by which the accuracies were made."""

    zero_shot = "zero-shot"
    linear_probe = "linear-probe"


def read_mieb(
    path: str | Path,
    *,
    percent: bool = False,
    protocol: Protocol = Protocol.zero_shot,
    keep_unknown: bool = False,
    names: NameTable | None = None,
) -> Imported:
    """MIEB's long results with model, task, main_score and accuracy.

    Zero-shot classifications are the tasks whose name ends in ZeroShot; linear probes those with
    the name of a known data set alone, where accuracy is the main score. A data set stands for one
    protocol in one table: what is of the other is left out.

    Args:
        path: the CSV file.
        percent: the accuracies are in percent.
        protocol: which of the two.
        keep_unknown: keep zero-shot data sets that the name table does not know.
        names: another name table than the shipped one.

    Returns:
        model (organisation/name), pretrained ("hub"), task, acc1, acc5 (null),
        mean_per_class_recall (null), n_images (null).

    Raises:
        StoreError: the file is no such table, has a cell that is no number, contradicts itself, or
            nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = read_csv(path, MIEB_COLUMNS)
    nameless = pl.col("model").is_null() | pl.col("task").is_null()
    left_out.add_groups("row", raw.filter(nameless), ["model"], "no model or no task given")
    raw = _select_protocol(raw.filter(~nameless), Protocol(protocol), table, left_out)
    if raw.is_empty():
        raise StoreError(f"table {path} has no {protocol} classification")
    long = to_numbers(raw.with_columns(acc1="accuracy"), ["acc1", "main_score"], path)
    other = long.filter(pl.col("acc1") != pl.col("main_score"))
    left_out.add_groups("task", other, ["task"], "accuracy is not its main score")
    long = present(long.filter(~pl.col("task").is_in(other["task"].unique())), left_out)
    long = long.with_columns(task=_data_set(table), mieb_task="task")
    keep = keep_unknown and protocol == Protocol.zero_shot
    long = canonical_tasks(long, table, left_out, keep_unknown=keep)
    long = to_fractions(
        long.with_columns(pretrained=pl.lit(PRETRAINED)), ["acc1"], path, left_out, percent=percent
    )
    long = long.with_columns(pl.col("model").str.replace("__", "/"))
    return complete_rows(long, path, left_out)


def _select_protocol(
    raw: pl.DataFrame, protocol: Protocol, table: NameTable, left_out: LeftOut
) -> pl.DataFrame:
    """Rows of one protocol; the others are counted by kind."""
    zero_shot = pl.col("task").str.ends_with(ZERO_SHOT_MARK)
    spellings = table.spellings()
    probed = [name for name in raw["task"].unique() if fold(_without_kind(name)) in spellings]
    probe = ~zero_shot & pl.col("task").is_in(probed)
    wanted = zero_shot if protocol == Protocol.zero_shot else probe
    kinds = raw.filter(~wanted).with_columns(
        kind=pl.when(zero_shot)
        .then(pl.lit("zero-shot classifications"))
        .when(probe)
        .then(pl.lit("linear probes"))
        .otherwise(pl.lit("retrieval, clustering, reasoning and other tasks"))
    )
    left_out.add_groups("row", kinds, ["kind"], f"not of protocol {protocol}")
    return raw.filter(wanted)


def _without_kind(name: str) -> str:
    return name.removesuffix("Classification")


def _data_set(table: NameTable) -> pl.Expr:
    """MIEB's task without its mark, unless the name table knows the whole name."""
    spellings = table.spellings()

    def short(name: str) -> str:
        if fold(name) in spellings:
            return name
        return _without_kind(name.removesuffix(ZERO_SHOT_MARK))

    return pl.col("task").map_elements(short, pl.String)
