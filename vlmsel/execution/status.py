"""How far a store is: measured, failed and missing cells by model and task."""

from collections.abc import Iterable

import polars as pl

from vlmsel.store.keys import CellId

GROUP = ["model", "pretrained", "task"]


def status_frame(
    wanted: Iterable[CellId], measured: Iterable[str], failed: pl.DataFrame
) -> pl.DataFrame:
    """Counts of the wanted cells, one row a model and task.

    Args:
        wanted: every cell that the catalogs ask for.
        measured: keys in the store.
        failed: of `ProfileStore.failed`: key and reason are read.

    Returns:
        model, pretrained, task, measured, failed, missing (cells) and reason (of one failed cell,
        null without), sorted.
    """
    rows = [(cell.model, cell.pretrained, cell.task, cell.key) for cell in wanted]
    cells = pl.DataFrame(rows, schema=[*GROUP, "key"], orient="row").cast(pl.String)
    keys = pl.DataFrame({"key": list(measured)}, schema={"key": pl.String})
    there = keys.with_columns(measured=pl.lit(True))
    broken = failed.select("key", "reason").unique("key", keep="first", maintain_order=True)
    joined = cells.join(there, on="key", how="left").join(broken, on="key", how="left")
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
