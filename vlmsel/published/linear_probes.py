"""Reader of published linear probes: model, pretrained, dataset, fewshot_k, lp_acc1."""

from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    canonical_models,
    clean_values,
    drop_duplicates,
    read_csv,
    require_rows,
    to_numbers,
)
from vlmsel.published.names import NameTable, load_names

PROBE_COLUMNS = ("model", "pretrained", "dataset", "fewshot_k", "lp_acc1")
KEY = ("model", "pretrained", "task", "shots")
ALL_IMAGES = -1
VTAB = "vtab/"


def read_linear_probes(
    path: str | Path,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    names: NameTable | None = None,
) -> Imported:
    """Best linear probes in the layout of CLIP_benchmark: one row per model, data set and shots.

    Args:
        path: the CSV or Parquet file; fewshot_k is the number of images per class, -1 for all.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task, shots (null: all images), acc1; tasks that the name table does not
        know keep their names.

    Raises:
        StoreError: the file is no such table, has a cell that is no number, contradicts itself, or
            its numbers contradict `percent`, or nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = to_numbers(read_csv(path, PROBE_COLUMNS), ["fewshot_k"], path)
    shots = pl.col("fewshot_k")
    wrong = raw.filter(shots.is_null() | (shots != shots.round()) | ((shots < 1) & (shots != -1)))
    if wrong.height:
        raise StoreError(
            f"table {path}: fewshot_k is {wrong.item(0, 'fewshot_k')} in {wrong.height} row(s); "
            f"it must be a number of images per class, or {ALL_IMAGES} for all"
        )
    raw = _count_once(raw, left_out)
    long = raw.select(
        "model",
        "pretrained",
        task="dataset",
        shots=pl.when(shots != ALL_IMAGES).then(shots).cast(pl.Int64),
        acc1="lp_acc1",
    )
    long = clean_values(long, ["acc1"], path, table, left_out, percent=percent, keep_unknown=True)
    long = canonical_models(long, table, left_out, quickgelu=quickgelu)
    long = drop_duplicates(long.select(*KEY, "acc1"), KEY, path, left_out)
    return require_rows(long.sort(KEY), path, left_out)


def _count_once(raw: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    """Data sets under plain names; one that comes with and without ``vtab/`` counts once."""
    plain = pl.col("dataset").str.replace("^vtab_", VTAB).str.strip_suffix("-unverified")
    raw = raw.with_columns(dataset=plain)
    bare = set(raw["dataset"].drop_nulls())
    twins = [VTAB + name for name in bare if VTAB + name in bare]
    again = pl.col("dataset").is_in(twins)
    left_out.add_groups("task", raw.filter(again), ["dataset"], "the same data set without vtab/")
    return raw.filter(~again.fill_null(value=False))
