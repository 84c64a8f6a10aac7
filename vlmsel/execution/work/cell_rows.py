"""Rows of a cell: what a probe found, under the names of the images."""

from collections.abc import Sequence

import pyarrow as pa

from vlmsel.measurements.measurement import REASON, SHARED, Measurement
from vlmsel.probes.protocol import Probed
from vlmsel.store.keys import CellId
from vlmsel.tasks.image_ref import ImageRef


def cell_rows(
    cell: CellId,
    measurement: Measurement,
    refs: Sequence[ImageRef],
    probed: Probed,
    failed: Sequence[tuple[ImageRef, str]],
) -> pa.Table:
    """Measured rows, then one row per failed image with its reason.

    Args:
        cell: which cell.
        measurement: what was measured.
        refs: images of the batch, by number.
        probed: values by image number.
        failed: (image, reason).
    """
    measured = _key_columns(cell, [refs[number] for number in probed.images])
    n_rows = len(probed.images)
    values = {
        field.name: probed.columns.get(field.name, pa.nulls(n_rows, field.type))
        for field in measurement.values
    }
    parts = [pa.table({**measured, **values, REASON.name: pa.nulls(n_rows, REASON.type)})]
    if failed:
        empty = {field.name: pa.nulls(len(failed), field.type) for field in measurement.values}
        reasons = {REASON.name: [reason for _, reason in failed]}
        parts.append(
            pa.table({**_key_columns(cell, [ref for ref, _ in failed]), **empty, **reasons})
        )
    schema = measurement.row_schema()
    return pa.concat_tables([part.select(schema.names).cast(schema) for part in parts])


def _key_columns(cell: CellId, refs: Sequence[ImageRef]) -> dict[str, list[str]]:
    values = {
        "model": [cell.model] * len(refs),
        "pretrained": [cell.pretrained] * len(refs),
        "task": [cell.task] * len(refs),
        "image_id": [ref.image_id for ref in refs],
        "image_sha256": [ref.sha256 for ref in refs],
    }
    return {field.name: values[field.name] for field in SHARED}
