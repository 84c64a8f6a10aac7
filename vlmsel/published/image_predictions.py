"""Reader of predictions on single images: model, image, pred_label, pred_conf, and the labels."""

import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    drop_duplicates,
    read_csv,
    read_header,
    require_rows,
    to_numbers,
)
from vlmsel.published.own_tables import exported_kind, read_exported

PREDICTION_COLUMNS = ("model", "image", "pred_label")
# Cue-conflict images: the shape and its number, the texture and its number.
CUE_CONFLICT = re.compile(r"(?P<shape>[a-z]+)\d+-(?P<texture>[a-z]+)\d+")
KEY = ["model", "pretrained", "task", "image_id"]


def read_image_predictions(path: str | Path, *, task: str | None = None) -> Imported:
    """A table with one row per model and image.

    The true class is the column ``label`` or, where all images are named as those of cue-conflict
    (``cat4-truck2``), the shape; images whose shape and texture are one class are left out there. A
    model without a column ``pretrained`` is cut at its last ``/``: what is before it is the kind.

    Args:
        path: the CSV or Parquet file.
        task: name of the images of a table without a column ``task``; default: the file's name.

    Returns:
        model, pretrained, task, image_id, prediction (null: an answer outside the classes),
        confidence (null where unknown), label.

    Raises:
        StoreError: the file is no such table, has no labels, contradicts itself, or nothing in it
            can be used.
    """
    if exported_kind(read_header(path)) == "predictions":
        return _read_exported(path, task)
    left_out = LeftOut()
    raw = read_csv(path, PREDICTION_COLUMNS)
    nameless = pl.col("model").is_null() | pl.col("image").is_null()
    left_out.add_groups("row", raw.filter(nameless), ["model"], "no model or no image given")
    raw = _labelled(raw.filter(~nameless), path, left_out)
    if "pretrained" not in raw.columns:
        raw = raw.with_columns(
            pretrained=pl.when(pl.col("model").str.contains("/"))
            .then(pl.col("model").str.replace(r"/[^/]*$", ""))
            .otherwise(pl.lit("published")),
            model=pl.col("model").str.extract(r"([^/]*)$"),
        )
    if "task" not in raw.columns:
        raw = raw.with_columns(task=pl.lit(task or Path(path).stem))
    if "pred_conf" not in raw.columns:
        raw = raw.with_columns(pred_conf=pl.lit(None, pl.String))
    long = raw.select(
        "model",
        "pretrained",
        "task",
        pl.col("image").alias("image_id"),
        prediction="pred_label",
        confidence="pred_conf",
        label="label",
    )
    long = _inside_the_classes(to_numbers(long, ["confidence"], path), left_out)
    long = drop_duplicates(long, KEY, path, left_out)
    _check_labels(long, path)
    return require_rows(long.sort(KEY), path, left_out)


def _read_exported(path: str | Path, task: str | None) -> Imported:
    """A table that `vlmsel export` wrote, word for word.

    Raises:
        StoreError: a task is named although the table names its own.
    """
    if task is not None:
        raise StoreError(f"table {path} names its tasks itself: leave the name of one out")
    found = read_exported(path, "predictions")
    names = {"image": "image_id", "pred_label": "prediction", "pred_conf": "confidence"}
    frame = found.frame.rename(names).sort(KEY)
    _check_labels(frame, path)
    return replace(found, frame=frame)


def _labelled(raw: pl.DataFrame, path: str | Path, left_out: LeftOut) -> pl.DataFrame:
    """The table with `label`; rows without one are noted."""
    if "label" not in raw.columns:
        parts = pl.col("image").str.extract_groups(f"^{CUE_CONFLICT.pattern}$")
        cut = raw.with_columns(parts.alias("_")).unnest("_")
        if cut["shape"].null_count():
            raise StoreError(
                f"table {path} has no column label, and its images are not named as those of "
                "cue-conflict (cat4-truck2): add the true class as a column label"
            )
        same = cut.filter(pl.col("shape") == pl.col("texture"))
        n_same = same["image"].n_unique()
        if n_same:
            left_out.add("image", "cue-conflict", n_same, "shape and texture are one class")
        cut = cut.filter(pl.col("shape") != pl.col("texture"))
        return cut.rename({"shape": "label"}).drop("texture")
    unknown = raw.filter(pl.col("label").is_null())
    left_out.add_groups("row", unknown, ["model"], "no label")
    return raw.filter(pl.col("label").is_not_null())


def _inside_the_classes(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    """Predictions that are no class, null; they count as misses and agree with nobody."""
    classes = long["label"].unique()
    outside = pl.col("prediction").is_null() | ~pl.col("prediction").is_in(classes.implode())
    found = long.filter(outside)
    if found.height:
        left_out.doubts.append(
            f"{found.height} answers are none of the {len(classes)} classes: they count as misses"
        )
    return long.with_columns(prediction=pl.when(~outside).then("prediction"))


def _check_labels(long: pl.DataFrame, path: str | Path) -> None:
    """One image has one label.

    Raises:
        StoreError: it has two.
    """
    twice = long.group_by("task", "image_id").agg(pl.col("label").n_unique())
    twice = twice.filter(pl.col("label") > 1).sort("task", "image_id")
    if twice.height:
        raise StoreError(
            f"table {path} contradicts itself: image {twice['image_id'][0]} has "
            f"{twice['label'][0]} labels; keep one"
        )
