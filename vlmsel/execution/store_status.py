"""Status of a store: measured, failed and missing cells by model and task."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from vlmsel.measurements.measurement import Measurement
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store

GROUP = ["kind", "model", "pretrained", "task"]
CELL = [*GROUP, "key"]


def status_frame(
    wanted: Iterable[CellId],
    measured: Iterable[CellId],
    failed: pl.DataFrame,
    failed_images: Mapping[CellId, Sequence[tuple[str, str]]],
) -> pl.DataFrame:
    """Counts of the wanted cells, one row per kind, model and task.

    Args:
        wanted: every cell that the catalogs ask for.
        measured: cells in the store.
        failed: kind (of the measurement), model, pretrained, task, key, reason.
        failed_images: (image_id, reason) of images that failed in measured cells.

    Returns:
        kind, model, pretrained, task, measured, failed (cells), failed_images (in measured cells),
        missing (cells) and reason (of one failed cell, else of one failed image, else null),
        sorted.
    """
    stored = _frame(measured).with_columns(measured=pl.lit(True))
    broken = failed.select(*CELL, "reason").unique(CELL, keep="first", maintain_order=True)
    images = _images(failed_images)
    joined = _frame(wanted)
    for part in (stored, broken, images):
        joined = joined.join(part, on=CELL, how="left")
    is_measured = pl.col("measured").fill_null(False)
    is_failed = ~is_measured & pl.col("reason").is_not_null()
    image = pl.format("image {}", pl.col("image_reason")).filter(is_measured)
    return (
        joined.group_by(GROUP)
        .agg(
            measured=is_measured.sum(),
            failed=is_failed.sum(),
            failed_images=pl.col("n_images").filter(is_measured).sum(),
            missing=(~is_measured & ~is_failed).sum(),
            reason=pl.coalesce(
                pl.col("reason").filter(is_failed).sort().first(),
                image.drop_nulls().sort().first(),
            ),
        )
        .sort(GROUP)
    )


def _frame(cells: Iterable[CellId]) -> pl.DataFrame:
    rows = [_cell(cell) for cell in cells]
    return pl.DataFrame(rows, schema=dict.fromkeys(CELL, pl.String), orient="row")


def _images(failed: Mapping[CellId, Sequence[tuple[str, str]]]) -> pl.DataFrame:
    rows = [
        (*_cell(cell), len(images), ": ".join(images[0]))
        for cell, images in failed.items()
        if images
    ]
    schema = dict.fromkeys(CELL, pl.String) | {"n_images": pl.Int64, "image_reason": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _cell(cell: CellId) -> tuple[str, str, str, str, str]:
    return cell.kind, cell.model, cell.pretrained, cell.task, cell.key


def failed_frame(store: Store, measurements: Iterable[Measurement]) -> pl.DataFrame:
    """Failed cells of several measurements: kind (of the measurement), and as `Store.failed`.

    The failure's own kind is in `failure`.
    """
    parts = [
        store.failed(measurement.kind, measurement.digest)
        .rename({"kind": "failure"})
        .with_columns(kind=pl.lit(measurement.kind))
        for measurement in measurements
    ]
    return pl.concat(parts)
