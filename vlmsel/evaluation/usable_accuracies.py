"""Usable cells of an accuracy table."""

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError

COLUMNS = (*MODEL, "task", "acc1")


def known_accuracies(accuracies: pl.DataFrame) -> pl.DataFrame:
    """The finite accuracies: model, pretrained, task, acc1; one row per cell, sorted by name.

    NaN and null are unknown. Rows that are exactly equal count once.

    Raises:
        SelectionError: A column is missing, two rows contradict each other, a value is no share
            of 1, or nothing is left.
    """
    for name in COLUMNS:
        if name not in accuracies.columns:
            msg = f"the accuracy table has no column {name!r}; it needs {', '.join(COLUMNS)}"
            raise SelectionError(msg)
    known = (
        accuracies.select(*MODEL, "task", pl.col("acc1").cast(pl.Float64))
        .filter(pl.col("acc1").is_finite())
        .unique()
        .sort(*COLUMNS)
    )
    if known.is_empty():
        msg = "the accuracy table holds no finite acc1; import or measure accuracies first"
        raise SelectionError(msg)
    _refuse_contradictions(known)
    _refuse_percentages(known)
    return known


def _refuse_contradictions(known: pl.DataFrame) -> None:
    twice = known.filter(pl.struct(*MODEL, "task").is_duplicated())
    if not twice.is_empty():
        model, pretrained, task, _ = twice.row(0)
        msg = f"{model}/{pretrained} has two different accuracies on {task}; keep one of them"
        raise SelectionError(msg)


def _refuse_percentages(known: pl.DataFrame) -> None:
    wrong = known.filter(~pl.col("acc1").is_between(0, 1))
    if not wrong.is_empty():
        model, pretrained, task, value = wrong.row(0)
        msg = (
            f"acc1 of {model}/{pretrained} on {task} is {value:g}, not a share of 1;"
            " divide percentages by 100"
        )
        raise SelectionError(msg)
