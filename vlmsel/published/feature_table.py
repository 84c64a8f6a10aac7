"""Reader of text features: model, pretrained, task, then the columns of LOVM's published table."""

from pathlib import Path

import polars as pl

from vlmsel.columns import CELL, FEATURE_NAMES
from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    canonical_models,
    canonical_tasks,
    drop_duplicates,
    read_csv,
    require_rows,
    to_numbers,
)
from vlmsel.published.lovm import LOVM_KNOWN, name_models, zero_shot_rows
from vlmsel.published.names import NameTable, load_names


def read_features(
    path: str | Path, *, quickgelu: bool = False, names: NameTable | None = None
) -> Imported:
    """A table with one row per model and task.

    Args:
        path: the CSV or Parquet file. The task is the column ``dataset``, where there is one, else
            ``task``; of `FEATURE_NAMES` those that are there are read.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task and `FEATURE_NAMES`, null where unknown; tasks that the name table
        does not know keep their names.

    Raises:
        StoreError: the file is no such table, has a cell that is no number, contradicts itself, or
            nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = name_models(read_csv(path, []), path)
    if "dataset" in raw.columns:
        raw = zero_shot_rows(raw, left_out).rename({"dataset": "task"})
    known = [name for name in FEATURE_NAMES if name in raw.columns]
    if "task" not in raw.columns or not set(known) - {FEATURE_NAMES[0]}:
        raise StoreError(
            f"table {path} has another layout: expected model, pretrained, task and text features "
            f"({', '.join(FEATURE_NAMES)}), found {', '.join(raw.columns)}"
        )
    for name in raw.columns:
        if name not in {*CELL, *FEATURE_NAMES, *LOVM_KNOWN}:
            left_out.add("column", name, raw.height, "not part of the layout")
    long = raw.select(*CELL, *known)
    nameless = pl.any_horizontal(pl.col(CELL).is_null())
    left_out.add_groups("row", long.filter(nameless), ["model"], "no model or no task given")
    long = canonical_tasks(long.filter(~nameless), table, left_out, keep_unknown=True)
    long = to_numbers(long, known, path)
    missing = [name for name in FEATURE_NAMES if name not in known]
    if missing:
        left_out.doubts.append(f"there is no {', '.join(missing)}: fitted without")
    long = canonical_models(long, table, left_out, quickgelu=quickgelu)
    long = long.with_columns(pl.lit(None, pl.Float64).alias(name) for name in missing)
    long = drop_duplicates(long.select(*CELL, *FEATURE_NAMES), CELL, path, left_out)
    return require_rows(long.sort(CELL), path, left_out)
