"""Reader of LOVM's evaluation table: one row per model and data set."""

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

LOVM_TASK = "zeroshot_classification"
LOVM_MEASURES = ("acc1", "acc5", "mean_per_class_recall")
LOVM_KNOWN = {
    *("", "task", "dataset", "model_fullname", "model", "pretrained", "language"),
    *LOVM_MEASURES,
}


def read_lovm_table(
    path: str | Path,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    keep_unknown: bool = False,
    names: NameTable | None = None,
) -> Imported:
    """LOVM's ``eval_table.csv``: one row per model and data set.

    Args:
        path: the CSV file with dataset, acc1, and model + pretrained or model_fullname
            (``"ViT-B-32 openai"``); acc5 and mean_per_class_recall where known.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        keep_unknown: keep data sets that the name table does not know, under their own names.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task, acc1, acc5, mean_per_class_recall, n_images (null).

    Raises:
        StoreError: as `read_openclip_results`.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = name_models(read_csv(path, ["dataset", "acc1"]), path)
    for name in sorted(set(raw.columns) - LOVM_KNOWN):
        left_out.add("column", name, raw.height, "not part of the layout")
    raw = zero_shot_rows(raw, left_out)
    for name in LOVM_MEASURES:
        if name not in raw.columns:
            raw = raw.with_columns(pl.lit(None, pl.String).alias(name))
    long = raw.rename({"dataset": "task"})
    long = clean_values(
        long, LOVM_MEASURES, path, table, left_out, percent=percent, keep_unknown=keep_unknown
    )
    return finish_accuracies(long, path, table, left_out, quickgelu=quickgelu)


def zero_shot_rows(raw: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    """Rows of zero-shot classification, without the column that says so; the others are noted."""
    if "task" not in raw.columns:
        return raw
    other = raw.filter(pl.col("task") != LOVM_TASK)
    left_out.add_groups("row", other, ["task"], f"not {LOVM_TASK}")
    return raw.filter(pl.col("task").is_null() | (pl.col("task") == LOVM_TASK)).drop("task")


def name_models(raw: pl.DataFrame, path: str | Path) -> pl.DataFrame:
    """The table with model and pretrained; model_fullname is cut at its last blank.

    Raises:
        StoreError: it has neither.
    """
    if {"model", "pretrained"} <= set(raw.columns):
        return raw
    if "model_fullname" not in raw.columns:
        raise StoreError(
            f"table {path} has another layout: expected model and pretrained, or model_fullname, "
            f"found {', '.join(raw.columns)}"
        )
    parts = pl.col("model_fullname").str.extract_groups(r"^(?<model>.*\S)\s+(?<pretrained>\S+)$")
    return raw.drop("model", "pretrained", strict=False).with_columns(parts.alias("_")).unnest("_")
