"""Layouts of the tables that are written: from what is known to the columns that tools read."""

from enum import StrEnum

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import StoreError
from vlmsel.published.lovm import LOVM_TASK
from vlmsel.published.openclip import is_about_model
from vlmsel.published.own_tables import COLUMNS


class TableLayout(StrEnum):
    """Layouts of exported accuracies."""

    long = "long"
    wide = "wide"
    clip_benchmark = "clip-benchmark"


def lay_out_accuracies(accuracies: pl.DataFrame, layout: TableLayout) -> pl.DataFrame:
    """Accuracies in a layout.

    Args:
        accuracies: model, pretrained, task, acc1, acc5, mean_per_class_recall, n_images, source.
        layout: `long`, one row per model and task, with all that is known; `wide`, as open_clip's
            results table: name, pretrained, then acc1 of every task; `clip_benchmark`, as that
            package's table: dataset, model, pretrained, task, language, measures, model_fullname.

    Raises:
        StoreError: a task's name cannot be a column of the wide layout.
    """
    if layout is TableLayout.wide:
        return _widen(accuracies)
    if layout is TableLayout.clip_benchmark:
        return accuracies.select(
            pl.col("task").alias("dataset"),
            *MODEL,
            pl.lit(LOVM_TASK).alias("task"),
            pl.lit("en").alias("language"),
            "acc1",
            "acc5",
            "mean_per_class_recall",
            pl.format("{} {}", *MODEL).alias("model_fullname"),
        ).sort("dataset", *MODEL)
    return accuracies.select(list(COLUMNS["accuracies"])).sort(*MODEL, "task")


def _widen(accuracies: pl.DataFrame) -> pl.DataFrame:
    tasks = accuracies["task"].unique().sort().to_list()
    for task in tasks:
        if is_about_model(task):
            raise StoreError(
                f"task {task!r} cannot be a column of the wide layout, where that name describes "
                "the model: export it with --layout long"
            )
    wide = accuracies.pivot(
        "task", on_columns=tasks, index=MODEL, values="acc1", maintain_order=True
    )
    return wide.rename({"model": "name"}).sort("name", "pretrained")


def lay_out_classes(classes: pl.DataFrame) -> pl.DataFrame:
    """Accuracies of classes: dataset, model, pretrained, classname, acc, n_images, source.

    Args:
        classes: model, pretrained, task, classname, accuracy, n_images, source.
    """
    renamed = classes.rename({"task": "dataset", "accuracy": "acc"})
    return renamed.select(list(COLUMNS["classes"])).sort("dataset", *MODEL, "classname")


def lay_out_predictions(predictions: pl.DataFrame) -> pl.DataFrame:
    """Answers on images, as the reader of predictions knows them.

    Args:
        predictions: model, pretrained, task, image_id, prediction, confidence, label, source.
    """
    renamed = predictions.rename(
        {"image_id": "image", "prediction": "pred_label", "confidence": "pred_conf"}
    )
    return renamed.select(list(COLUMNS["predictions"])).sort(*MODEL, "task", "image")


def lay_out_rankings(rankings: pl.DataFrame) -> pl.DataFrame:
    """Rankings of zoos for held-out tasks.

    Args:
        rankings: target, selector, rank, model, pretrained, score, accuracy, source.
    """
    return rankings.select(
        pl.col(name).cast(dtype) for name, dtype in COLUMNS["rankings"].items()
    ).sort("target", "selector", "rank", *MODEL)
