"""Reader of open_clip's results table: one row per model, one column per data set."""

import re
from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    clean_values,
    finish_accuracies,
    read_csv,
)
from vlmsel.published.names import NameTable, load_names

# Columns of open_clip's table that describe a model and are no task.
DESCRIPTION = re.compile(r"name|pretrained|params.*|flops.*|average.*")


def read_openclip_results(
    path: str | Path,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    keep_unknown: bool = False,
    names: NameTable | None = None,
) -> Imported:
    """open_clip's ``openclip_results.csv``: name, pretrained, then one column per data set.

    ``acc1`` is the figure that the table prints; for tasks whose ``headline`` in ``names.yaml`` is
    another measure, it is that one (flowers, pets: mean per class recall, given there as well).

    Args:
        path: the CSV file.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        keep_unknown: keep data sets that the name table does not know, under their own names.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task, acc1, acc5 (null), mean_per_class_recall, n_images (null).

    Raises:
        StoreError: the file is no such table, has a cell that is no number, contradicts itself, or
            its numbers contradict `percent`, or nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    wide = read_csv(path, ["name", "pretrained"])
    for name in wide.columns:
        if _is_nameless(name):
            left_out.add("column", "(without a name)", wide.height, "it may be anything")
    tasks = [name for name in wide.columns if not is_about_model(name) and not _is_nameless(name)]
    if not tasks:
        raise StoreError(f"table {path} has no data set columns, found {', '.join(wide.columns)}")
    long = wide.rename({"name": "model"}).unpivot(
        tasks, index=["model", "pretrained"], variable_name="task", value_name="acc1"
    )
    long = clean_values(
        long, ["acc1"], path, table, left_out, percent=percent, keep_unknown=keep_unknown
    )
    recall = [n for n, task in table.tasks.items() if task.headline == "mean_per_class_recall"]
    long = long.with_columns(
        mean_per_class_recall=pl.when(pl.col("task").is_in(recall)).then("acc1")
    )
    return finish_accuracies(long, path, table, left_out, quickgelu=quickgelu)


def is_about_model(column: str) -> bool:
    """Return whether a column of the table says something of the model, and is no task."""
    return DESCRIPTION.fullmatch(column.lower()) is not None


def _is_nameless(column: str) -> bool:
    """An empty header, or what polars makes of several."""
    return not column.removeprefix("_duplicated_").strip("0123456789 ")
