"""Task profiles: per-image block scores averaged to one vector per model and task."""

import polars as pl

from vlmsel.columns import CELL, MODEL
from vlmsel.errors import SelectionError


def task_profiles(profiles: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Average per-image block scores into one profile per model and task.

    g_M(T) = mean over the images x of T of C(x), a vector with one entry per block
    (docs/internals/selection.md). Every image counts once; rows without a conductance (failed
    images) are left out.

    Args:
        profiles: long rows with model, pretrained, task, block, block_name, conductance and, where
            there is more than one image, image_id. A frame that has the column `profile` already is
            checked and returned.

    Returns:
        model, pretrained, task, profile (List[Float64], by block order), sorted by the first three.

    Raises:
        SelectionError: columns are missing, a score is not finite, an image lacks a block, or a
            model's blocks differ between its tasks.
    """
    frame = profiles.lazy()
    names = frame.collect_schema().names()
    table = _check_ready(frame, names) if "profile" in names else _average(frame, names)
    _check_values(table)
    return table.sort(CELL)


def _check_ready(frame: pl.LazyFrame, names: list[str]) -> pl.DataFrame:
    """Check ready profiles: columns, one row per model and task, one length per model."""
    _require(names, [*CELL, "profile"])
    columns = [pl.col(CELL).cast(pl.String), pl.col("profile").cast(pl.List(pl.Float64))]
    table = frame.select(columns).collect()
    if table.select(CELL).is_duplicated().any():
        where = table.filter(pl.struct(CELL).is_duplicated()).row(0)
        raise SelectionError(
            f"profiles hold {_cell(where)} more than once; keep one row per model and task"
        )
    _check_blocks(table.with_columns(blocks=pl.col("profile").list.len()))
    return table


def _average(frame: pl.LazyFrame, names: list[str]) -> pl.DataFrame:
    """Average long rows over images, block by block."""
    _require(names, [*CELL, "block", "block_name", "conductance"])
    keys = [*CELL, "block", "block_name"]
    measured = frame.filter(pl.col("conductance").is_not_null())
    if "image_id" in names:
        measured = measured.unique([*CELL, "image_id", "block", "block_name"], maintain_order=True)
    blocks = measured.group_by(keys).agg(
        pl.col("conductance").cast(pl.Float64).mean(), images=pl.len()
    )
    table = (
        blocks.sort(keys)
        .group_by(CELL, maintain_order=True)
        .agg(
            profile="conductance",
            blocks="block_name",
            even=(pl.col("images").n_unique() == 1) & (pl.col("block").n_unique() == pl.len()),
        )
        .collect()
    )
    uneven = table.filter(~pl.col("even"))
    if uneven.height:
        raise SelectionError(
            f"profiles of {_cell(uneven.row(0))} do not have the same blocks for every image; "
            "measure the task again under one setting"
        )
    _check_blocks(table)
    return table.select(pl.col(CELL).cast(pl.String), "profile")


def _require(names: list[str], wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise SelectionError(
            f"profiles lack the columns {', '.join(missing)}; they have {', '.join(names)}"
        )


def _check_blocks(table: pl.DataFrame) -> None:
    """Profiles of one model can only be compared block by block."""
    mixed = (
        table.group_by(MODEL)
        .agg(pl.col("blocks").n_unique().alias("kinds"))
        .filter(pl.col("kinds") > 1)
    )
    if mixed.height:
        model = mixed.sort(MODEL).row(0)
        raise SelectionError(
            f"the blocks of {model[0]}/{model[1]} differ between its tasks; "
            "select profiles of one attribution setting and measure the others again"
        )


def _check_values(table: pl.DataFrame) -> None:
    """A profile of zeros or with NaN is a failed measurement, never a small one."""
    values = pl.col("profile").list
    bad = table.filter(
        ~values.eval(pl.element().is_finite() & pl.element().is_not_null()).list.all()
        | (values.eval(pl.element().abs()).list.max().fill_null(0.0) == 0.0)
    )
    if bad.height:
        raise SelectionError(
            f"the profile of {_cell(bad.sort(CELL).row(0))} is all zero, empty or "
            "not finite; measure that cell again"
        )


def _cell(row: tuple[object, ...]) -> str:
    return f"{row[0]}/{row[1]} on {row[2]}"
