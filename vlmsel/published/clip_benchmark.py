"""Reader of CLIP_benchmark's long results, such as its scaling study: one row per model and set."""

from pathlib import Path

import polars as pl

from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    clean_values,
    finish_accuracies,
    read_csv,
)
from vlmsel.published.lovm import LOVM_MEASURES, name_models, zero_shot_rows
from vlmsel.published.names import NameTable, load_names

# Rows of these are means over data sets.
MEANS = ("vtab", "vtab+", "imagenet_robustness")


def read_clip_benchmark(
    path: str | Path,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    keep_unknown: bool = False,
    names: NameTable | None = None,
) -> Imported:
    """CLIP_benchmark's results with downstream_dataset, acc1, and model_fullname or model.

    Rows of other tasks than zero-shot classification are left out, and so are means over data sets.

    Args:
        path: the CSV file.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        keep_unknown: keep data sets that the name table does not know, under their own names.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task, acc1, acc5, mean_per_class_recall, n_images (null).

    Raises:
        StoreError: the file is no such table, has a cell that is no number, contradicts itself, or
            its numbers contradict `percent`, or nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = name_models(read_csv(path, ["downstream_dataset", "acc1"]), path)
    raw = zero_shot_rows(raw, left_out)
    means = raw.filter(pl.col("downstream_dataset").is_in(MEANS))
    left_out.add_groups("task", means, ["downstream_dataset"], "a mean over data sets, no data set")
    raw = raw.filter(~pl.col("downstream_dataset").is_in(MEANS).fill_null(value=False))
    measures = [name for name in LOVM_MEASURES if name in raw.columns]
    long = raw.select("model", "pretrained", *measures, task="downstream_dataset")
    long = clean_values(
        long, measures, path, table, left_out, percent=percent, keep_unknown=keep_unknown
    )
    return finish_accuracies(long, path, table, left_out, quickgelu=quickgelu)
