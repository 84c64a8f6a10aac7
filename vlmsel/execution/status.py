"""How far a store is: measured, failed and missing cells by model and task."""

from collections.abc import Iterable

import polars as pl

from vlmsel.store.keys import CellId

GROUP = ["model", "pretrained", "task"]
CELL = [*GROUP, "key"]


def status_frame(
    wanted: Iterable[CellId], measured: Iterable[CellId], failed: pl.DataFrame
) -> pl.DataFrame:
    """Counts of the wanted cells, one row a model and task.

    Args:
        wanted: every cell that the catalogs ask for.
        measured: cells in the store.
        failed: of `ProfileStore.failed`.

    Returns:
        model, pretrained, task, measured, failed, missing (cells) and reason (of one failed cell,
        null without), sorted.
    """
    there = _frame(measured).with_columns(measured=pl.lit(True))
    broken = failed.select(*CELL, "reason").unique(CELL, keep="first", maintain_order=True)
    joined = _frame(wanted).join(there, on=CELL, how="left").join(broken, on=CELL, how="left")
    is_measured = pl.col("measured").fill_null(False)
    is_failed = ~is_measured & pl.col("reason").is_not_null()
    return (
        joined.group_by(GROUP)
        .agg(
            measured=is_measured.sum(),
            failed=is_failed.sum(),
            missing=(~is_measured & ~is_failed).sum(),
            reason=pl.col("reason").filter(is_failed).sort().first(),
        )
        .sort(GROUP)
    )


def _frame(cells: Iterable[CellId]) -> pl.DataFrame:
    rows = [(cell.model, cell.pretrained, cell.task, cell.key) for cell in cells]
    return pl.DataFrame(rows, schema=dict.fromkeys(CELL, pl.String), orient="row")
