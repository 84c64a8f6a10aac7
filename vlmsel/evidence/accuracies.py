"""Zero-shot accuracy, derived: predictions joined with labels, beside published tables."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from vlmsel.columns import CELL, MEASURED
from vlmsel.errors import StoreError

SCHEMA = {
    **dict.fromkeys(CELL, pl.String),
    "acc1": pl.Float64,
    "acc5": pl.Float64,
    "mean_per_class_recall": pl.Float64,
    "n_images": pl.Int64,
}
TOP_K = 5
# Of these columns alone are accuracies made: logits stay unread.
PREDICTION_COLUMNS = [*CELL, "image_id", "argmax", "top", "n_classes", "reason"]
# Calibration needs these as well.
LOGIT_COLUMNS = ["log_sum_exp", "logits"]


def label_predictions(predictions: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Predictions of labelled images with their label.

    Args:
        predictions: measured rows: model, pretrained, task, image_id, argmax, ...
        labels: task, image_id, label.
    """
    return predictions.join(labels, on=["task", "image_id"], how="inner", maintain_order="left")


def derive_accuracies(labelled: pl.DataFrame) -> pl.DataFrame:
    """Accuracies by model and task.

    Args:
        labelled: of `label_predictions`, with argmax, top (best class first) and n_classes.

    Returns:
        model, pretrained, task, acc1, acc5 (null with at most five classes, where it says nothing),
        mean_per_class_recall (over the classes that have images), n_images; sorted.
    """
    hits = labelled.with_columns(
        right=(pl.col("argmax") == pl.col("label")).cast(pl.Float64),
        near=pl.col("top").list.head(TOP_K).list.contains(pl.col("label")).cast(pl.Float64),
    )
    recall = (
        hits.group_by(*CELL, "label")
        .agg(pl.col("right").mean())
        # Summed in the order of the classes: the same rows give the same last digit.
        .sort(*CELL, "label")
        .group_by(CELL, maintain_order=True)
        .agg(mean_per_class_recall=pl.col("right").mean())
    )
    rates = hits.group_by(CELL).agg(
        acc1=pl.col("right").mean(),
        acc5=pl.when(pl.col("n_classes").first() > TOP_K).then(pl.col("near").mean()),
        n_images=pl.len().cast(pl.Int64),
    )
    return rates.join(recall, on=CELL).select(list(SCHEMA)).sort(CELL)


def per_class_accuracies(labelled: pl.DataFrame) -> pl.DataFrame:
    """Recall of every class: model, pretrained, task, label, accuracy, n_images; sorted."""
    return (
        labelled.group_by(*CELL, "label")
        .agg(
            accuracy=(pl.col("argmax") == pl.col("label")).mean(),
            n_images=pl.len().cast(pl.Int64),
        )
        .sort(*CELL, "label")
    )


def confusion(labelled: pl.DataFrame) -> pl.DataFrame:
    """Counts of (label, answer): model, pretrained, task, label, argmax, n_images; sorted."""
    return (
        labelled.group_by(*CELL, "label", "argmax")
        .agg(n_images=pl.len().cast(pl.Int64))
        .sort(*CELL, "label", "argmax")
    )


def calibration_error(labelled: pl.DataFrame, *, n_bins: int = 15) -> pl.DataFrame:
    """Expected calibration error (Guo et al. 2017, equation 3): sum over bins of |acc - conf| n/N.

    The confidence is the softmax probability of the answer, exp(max logit - log-sum-exp); bins have
    equal width, and a confidence on their border belongs to the lower one.

    Args:
        labelled: with argmax, logits (the largest one counts) and log_sum_exp.
        n_bins: of equal width over (0, 1].

    Returns:
        model, pretrained, task, calibration_error, confidence (mean), n_images; sorted.
    """
    largest = pl.col("logits").list.max().cast(pl.Float64)
    # The logits' float16 may lie above the float32 that log_sum_exp was made of.
    confidence = (largest - pl.col("log_sum_exp").cast(pl.Float64)).exp().clip(0.0, 1.0)
    binned = labelled.with_columns(
        confidence=confidence,
        right=(pl.col("argmax") == pl.col("label")).cast(pl.Float64),
    ).with_columns(bin=(pl.col("confidence") * n_bins).ceil().clip(1, n_bins))
    # In a fixed order: the same rows give the same last digit.
    ordered = binned.sort(*CELL, "bin", "confidence")
    gaps = ordered.group_by(*CELL, "bin", maintain_order=True).agg(
        gap=(pl.col("right").sum() - pl.col("confidence").sum()).abs(),
        confidence=pl.col("confidence").sum(),
        n_images=pl.len().cast(pl.Int64),
    )
    total = pl.col("n_images").sum()
    return (
        gaps.group_by(CELL, maintain_order=True)
        .agg(
            calibration_error=pl.col("gap").sum() / total,
            confidence=pl.col("confidence").sum() / total,
            n_images=total,
        )
        .sort(CELL)
    )


def join_imported(
    measured: pl.DataFrame,
    imported: pl.DataFrame,
    *,
    sources: Sequence[str] | None = None,
    address: str = "",
) -> pl.DataFrame:
    """Every (model, pretrained, task) once: what was measured here wins over published tables.

    Args:
        measured: of `derive_accuracies`.
        imported: with `source`, the import's name.
        sources: take only these, ``measured`` or names of imports, the first one first; by default
            measured, then imports by name.
        address: of the store, for messages.

    Returns:
        model, pretrained, task, acc1, acc5, mean_per_class_recall, n_images, source; sorted.

    Raises:
        StoreError: a source is unknown.
    """
    computed = measured.select(list(SCHEMA)).with_columns(source=pl.lit(MEASURED))
    frame = pl.concat([computed, imported.select(computed.columns)])
    names = frame["source"].unique().sort().to_list()
    if sources is None:
        sources = [MEASURED, *(name for name in names if name != MEASURED)]
    for source in sources:
        if source != MEASURED and source not in names:
            raise StoreError(f"store {address} has no accuracies from {source!r}")
    order = pl.col("source").replace_strict(
        {source: place for place, source in enumerate(sources)}, return_dtype=pl.Int64
    )
    chosen = frame.filter(pl.col("source").is_in(sources)).sort(*CELL, order)
    return chosen.unique(subset=CELL, keep="first", maintain_order=True)


def labels_frame(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Labels of several tasks in one table: task, image_id, label."""
    empty = pl.DataFrame(schema={"task": pl.String, "image_id": pl.String, "label": pl.Int32})
    parts = [
        table.select(pl.lit(task).alias("task"), "image_id", pl.col("label").cast(pl.Int32))
        for task, table in tables.items()
    ]
    return pl.concat([empty, *parts])


def softmax(logits: np.ndarray, log_sum_exp: np.ndarray) -> np.ndarray:
    """Probabilities (N, C) of stored logits; rows of the best k sum up to less than one."""
    return np.exp(logits.astype(np.float64) - log_sum_exp.astype(np.float64)[:, None])
