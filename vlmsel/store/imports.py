"""Readers of published tables: open_clip's results, LOVM's evaluation table, published profiles.

Each gives a long table in canonical names and says what was left out; nothing goes silently.
"""

import re
from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.store.names import NameTable, load_names
from vlmsel.store.tables import (
    Imported,
    LeftOut,
    canonical_models,
    canonical_tasks,
    drop_duplicates,
    read_csv,
    to_fractions,
    to_numbers,
)

# Columns of open_clip's table that describe a model and are no task.
DESCRIPTION = re.compile(r"name|pretrained|params.*|flops.*|average.*")
LOVM_TASK = "zeroshot_classification"
LOVM_MEASURES = ("acc1", "acc5", "mean_per_class_recall")
LOVM_KNOWN = {"", "task", "dataset", "model_fullname", "model", "pretrained", *LOVM_MEASURES}
# Beyond it sums of squares overflow.
ABSURD = 1e30
MOST_BLOCKS = 100_000
PROFILE_COLUMNS = ("model", "pretrained", "task", "block", "block_name", "conductance")
TRIPLE = ("model", "pretrained", "task")


def read_openclip_results(
    path: str | Path,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    names: NameTable | None = None,
) -> Imported:
    """open_clip's ``openclip_results.csv``: name, pretrained, then one column a data set.

    ``acc1`` is the figure that the table prints; for tasks whose ``headline`` in ``names.yaml`` is
    another measure, it is that one (flowers, pets: mean per class recall, given there as well).

    Args:
        path: the CSV file.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
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
        if _nameless(name):
            left_out.add("column", "(without a name)", wide.height, "it may be anything")
    tasks = [name for name in wide.columns if not _describes(name) and not _nameless(name)]
    if not tasks:
        raise StoreError(f"table {path} has no data set columns, found {', '.join(wide.columns)}")
    long = wide.rename({"name": "model"}).unpivot(
        tasks, index=["model", "pretrained"], variable_name="task", value_name="acc1"
    )
    long = canonical_tasks(long, table, left_out)
    long = _present(to_numbers(long, ["acc1"], path), left_out)
    long = to_fractions(long, ["acc1"], path, left_out, percent=percent)
    recall = [n for n, task in table.tasks.items() if task.headline == "mean_per_class_recall"]
    long = long.with_columns(
        acc5=pl.lit(None, pl.Float64),
        mean_per_class_recall=pl.when(pl.col("task").is_in(recall)).then("acc1"),
    )
    return _finish(long, path, table, left_out, quickgelu=quickgelu)


def read_lovm_table(
    path: str | Path,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    names: NameTable | None = None,
) -> Imported:
    """LOVM's ``eval_table.csv``: one row a model and data set.

    Args:
        path: the CSV file with dataset, acc1, and model + pretrained or model_fullname
            (``"ViT-B-32 openai"``); acc5 and mean_per_class_recall where known.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task, acc1, acc5, mean_per_class_recall, n_images (null).

    Raises:
        StoreError: as `read_openclip_results`.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = _lovm_models(read_csv(path, ["dataset", "acc1"]), path)
    for name in sorted(set(raw.columns) - LOVM_KNOWN):
        left_out.add("column", name, raw.height, "not part of the layout")
    if "task" in raw.columns:
        other = raw.filter(pl.col("task") != LOVM_TASK)
        left_out.add_groups("row", other, ["task"], f"not {LOVM_TASK}")
        raw = raw.filter(pl.col("task").is_null() | (pl.col("task") == LOVM_TASK)).drop("task")
    for name in LOVM_MEASURES:
        if name not in raw.columns:
            raw = raw.with_columns(pl.lit(None, pl.String).alias(name))
    long = canonical_tasks(raw.rename({"dataset": "task"}), table, left_out)
    long = _present(to_numbers(long, LOVM_MEASURES, path), left_out)
    long = to_fractions(long, LOVM_MEASURES, path, left_out, percent=percent)
    return _finish(long, path, table, left_out, quickgelu=quickgelu)


def read_published_profiles(
    path: str | Path, *, quickgelu: bool = False, names: NameTable | None = None
) -> Imported:
    """Published profiles, long, one image a task; columns as `PROFILE_COLUMNS`.

    A profile with a missing value, or with other blocks than most of its model's, is left out.

    Args:
        path: the CSV file.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task, block (int32), block_name, conductance.

    Raises:
        StoreError: the file is no such table, has a cell that is no number, a negative
            conductance, contradicts itself, or nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = read_csv(path, PROFILE_COLUMNS)
    for name in raw.columns:
        if name not in PROFILE_COLUMNS:
            left_out.add("column", name, raw.height, "not part of the layout")
    long = canonical_tasks(raw.select(PROFILE_COLUMNS), table, left_out)
    long = to_numbers(long, ["block", "conductance"], path)
    wrong = long.filter(
        (pl.col("conductance") < 0)
        | (pl.col("conductance") > ABSURD)
        | (pl.col("block") % 1 != 0)
        | (pl.col("block") < 0)
        | (pl.col("block") >= MOST_BLOCKS)
    )
    if wrong.height:
        raise StoreError(
            f"table {path}: a conductance of 0 to {ABSURD:g} and a whole block number >= 0 (below "
            f"{MOST_BLOCKS}) are expected, not {wrong.row(0)}"
        )
    long = long.with_columns(pl.col("block").cast(pl.Int32))
    long = canonical_models(long, table, left_out, quickgelu=quickgelu)
    long = _whole_profiles(long, left_out)
    long = drop_duplicates(long, [*TRIPLE, "block"], path, left_out)
    long = _usual_blocks(long, left_out)
    long = _without_zeros(long, left_out)
    return _something(long.sort(*TRIPLE, "block"), path, left_out)


def _something(long: pl.DataFrame, path: str | Path, left_out: LeftOut) -> Imported:
    if long.is_empty():
        shown = "; ".join(f"{what} {name}: {why}" for what, name, _, why in left_out.rows[:3])
        raise StoreError(
            f"table {path}: nothing in it can be used ({shown}"
            f"{'; ...' if len(left_out.rows) > 3 else ''})"
        )
    return Imported(long, left_out.frame(), tuple(left_out.doubts))


def _describes(column: str) -> bool:
    return DESCRIPTION.fullmatch(column.lower()) is not None


def _nameless(column: str) -> bool:
    """An empty header, or what polars makes of several."""
    return not column.removeprefix("_duplicated_").strip("0123456789 ")


def _lovm_models(raw: pl.DataFrame, path: str | Path) -> pl.DataFrame:
    if {"model", "pretrained"} <= set(raw.columns):
        return raw
    if "model_fullname" not in raw.columns:
        raise StoreError(
            f"table {path} has another layout: expected model and pretrained, or model_fullname, "
            f"found {', '.join(raw.columns)}"
        )
    parts = pl.col("model_fullname").str.extract_groups(r"^(?<model>.*\S)\s+(?<pretrained>\S+)$")
    return raw.drop("model", "pretrained", strict=False).with_columns(parts.alias("_")).unnest("_")


def _present(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    missing = pl.col("acc1").is_null()
    left_out.add_groups("value", long.filter(missing), ["task"], "missing accuracy")
    return long.filter(~missing)


def _finish(
    long: pl.DataFrame, path: str | Path, table: NameTable, left_out: LeftOut, *, quickgelu: bool
) -> Imported:
    long = canonical_models(long, table, left_out, quickgelu=quickgelu)
    long = long.select(*TRIPLE, "acc1", "acc5", "mean_per_class_recall")
    long = drop_duplicates(long, TRIPLE, path, left_out)
    long = long.with_columns(n_images=pl.lit(None, pl.Int64))
    return _something(long.sort(TRIPLE), path, left_out)


def _whole_profiles(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    gap = pl.any_horizontal(pl.col("block", "block_name", "conductance").is_null())
    broken = long.filter(gap).select(TRIPLE).unique()
    left_out.add_groups(
        "value", long.filter(gap), TRIPLE, "missing value, so the whole profile is left out"
    )
    return long.join(broken, on=TRIPLE, how="anti", maintain_order="left")


def _without_zeros(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    zero = long.group_by(TRIPLE).agg(pl.col("conductance").sum()).filter(pl.col("conductance") == 0)
    left_out.add_groups("profile", zero, TRIPLE, "all zero, so there is nothing to compare")
    return long.join(zero, on=TRIPLE, how="anti", maintain_order="left")


def _usual_blocks(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    profiles = long.group_by(TRIPLE).agg(
        blocks=pl.col("block").sort().cast(pl.String).str.join(" ")
    )
    usual = profiles.group_by("model", "pretrained").agg(pl.col("blocks").mode().sort().last())
    odd = profiles.join(usual, on=["model", "pretrained", "blocks"], how="anti")
    left_out.add_groups("profile", odd, TRIPLE, "other blocks than the model's other profiles")
    return long.join(odd, on=TRIPLE, how="anti")
