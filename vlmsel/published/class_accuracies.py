"""Reader of accuracies of every class: dataset, model, pretrained, classname, acc."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vlmsel.columns import CELL
from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    canonical_models,
    canonical_tasks,
    drop_duplicates,
    read_csv,
    require_rows,
    to_fractions,
    to_numbers,
)
from vlmsel.published.long_table import select_prompts
from vlmsel.published.names import NameTable, load_names

CLASS_COLUMNS = ("dataset", "model", "pretrained", "classname", "acc")


@dataclass(frozen=True)
class ImportedClasses:
    """A table of class accuracies, and the accuracies of tasks made of it.

    Attributes:
        classes: model, pretrained, task, classname, accuracy, n_images (null where unknown); what
            was left out and doubted.
        accuracies: model, pretrained, task, acc1 and mean_per_class_recall; both are the mean over
            the classes where the table does not tell their sizes.
    """

    classes: Imported
    accuracies: Imported


def read_class_accuracies(
    path: str | Path,
    *,
    percent: bool | None = None,
    quickgelu: bool = False,
    keep_unknown: bool = True,
    prompts: str | None = None,
    names: NameTable | None = None,
) -> ImportedClasses:
    """A table with one row per model, data set and class.

    Args:
        path: the CSV or Parquet file.
        percent: the accuracies are in percent; None looks whether any is above 1.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        keep_unknown: keep data sets that the name table does not know, under their own names.
        prompts: kind of prompts to keep, where the table has a column ``prompts``; default:
            ensemble.
        names: another name table than the shipped one.

    Raises:
        StoreError: the file is no such table, has a cell that is no number, contradicts itself, or
            its numbers contradict `percent`, or nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = select_prompts(read_csv(path, CLASS_COLUMNS), prompts, path, left_out)
    long = raw.select("model", "pretrained", "classname", task="dataset", accuracy="acc")
    gap = pl.any_horizontal(pl.col("classname", "accuracy").is_null())
    left_out.add_groups("value", long.filter(gap), ["task"], "missing class or accuracy")
    long = canonical_tasks(long.filter(~gap), table, left_out, keep_unknown=keep_unknown)
    long = to_numbers(long, ["accuracy"], path)
    if percent is None:
        percent = bool((long["accuracy"] > 1.0).any())
    doubts = len(left_out.doubts)
    long = to_fractions(long, ["accuracy"], path, left_out, percent=percent)
    # Classes of which a model knows nothing are common: no doubt about the scale.
    del left_out.doubts[doubts:]
    long = canonical_models(long, table, left_out, quickgelu=quickgelu)
    key = [*CELL, "classname"]
    long = drop_duplicates(long.select(*key, "accuracy"), key, path, left_out).sort(key)
    return _with_means(long.with_columns(n_images=pl.lit(None, pl.Int64)), path, left_out)


def read_exported_classes(exported: Imported, path: str | Path) -> ImportedClasses:
    """The same of a table that `vlmsel export` wrote, which tells the sizes of classes."""
    key = [*CELL, "classname"]
    long = exported.frame.rename({"dataset": "task", "acc": "accuracy"})
    return _with_means(long.select(*key, "accuracy", "n_images").sort(key), path, LeftOut())


def _with_means(long: pl.DataFrame, path: str | Path, left_out: LeftOut) -> ImportedClasses:
    """Class accuracies with the accuracies of tasks, weighted by the classes' sizes where known."""
    is_sized = pl.col("n_images").is_not_null().all()
    total = pl.col("n_images").sum()
    weighted = (pl.col("accuracy") * pl.col("n_images")).sum() / total
    mean = pl.col("accuracy").mean()
    means = long.group_by(CELL).agg(
        acc1=pl.when(is_sized).then(weighted).otherwise(mean),
        acc5=pl.lit(None, pl.Float64),
        mean_per_class_recall=mean,
        n_images=pl.when(is_sized).then(total).cast(pl.Int64),
    )
    if means["n_images"].null_count():
        left_out.doubts.append(
            "acc1 is the mean over the classes: the table tells no sizes of classes"
        )
    return ImportedClasses(
        require_rows(long, path, left_out), require_rows(means.sort(CELL), path, left_out)
    )
