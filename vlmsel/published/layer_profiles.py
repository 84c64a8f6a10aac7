"""Reader of published profiles: layer conductance of one image per task."""

from pathlib import Path

import polars as pl

from vlmsel.columns import CELL
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
from vlmsel.published.names import NameTable, load_names

# Beyond it sums of squares overflow.
ABSURD = 1e30
MOST_BLOCKS = 100_000
PROFILE_COLUMNS = ("model", "pretrained", "task", "block", "block_name", "conductance")


def read_published_profiles(
    path: str | Path, *, quickgelu: bool = False, names: NameTable | None = None
) -> Imported:
    """Published profiles, long, one image per task; columns as `PROFILE_COLUMNS`.

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
    long = _select_whole_profiles(long, left_out)
    long = drop_duplicates(long, [*CELL, "block"], path, left_out)
    long = _usual_blocks(long, left_out)
    long = _without_zeros(long, left_out)
    return require_rows(long.sort(*CELL, "block"), path, left_out)


def _select_whole_profiles(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    gap = pl.any_horizontal(pl.col("block", "block_name", "conductance").is_null())
    broken = long.filter(gap).select(CELL).unique()
    left_out.add_groups(
        "value", long.filter(gap), CELL, "missing value, so the whole profile is left out"
    )
    return long.join(broken, on=CELL, how="anti", maintain_order="left")


def _without_zeros(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    zero = long.group_by(CELL).agg(pl.col("conductance").sum()).filter(pl.col("conductance") == 0)
    left_out.add_groups("profile", zero, CELL, "all zero, so there is nothing to compare")
    return long.join(zero, on=CELL, how="anti", maintain_order="left")


def _usual_blocks(long: pl.DataFrame, left_out: LeftOut) -> pl.DataFrame:
    profiles = long.group_by(CELL).agg(blocks=pl.col("block").sort().cast(pl.String).str.join(" "))
    usual = profiles.group_by("model", "pretrained").agg(pl.col("blocks").mode().sort().last())
    odd = profiles.join(usual, on=["model", "pretrained", "blocks"], how="anti")
    left_out.add_groups("profile", odd, CELL, "other blocks than the model's other profiles")
    return long.join(odd, on=CELL, how="anti")
