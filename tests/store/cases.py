"""Rows and cells that the store's tests share."""

from collections.abc import Sequence

import pyarrow as pa

from vlmsel.settings import AttributionSettings
from vlmsel.store import CellId, cell_key

SETTINGS = AttributionSettings(n_steps=16, rule="trapezoid", path="uniform")


def make_cell(
    model: str = "RN50",
    pretrained: str = "openai",
    task: str = "eurosat",
    images: Sequence[str] = ("a", "b"),
    settings: AttributionSettings = SETTINGS,
) -> CellId:
    """A cell whose key follows from its model and images."""
    key = cell_key(f"{model}|{pretrained}", settings.digest, list(images))
    return CellId(model, pretrained, task, key, settings.digest)


def make_rows(
    cell: CellId,
    images: Sequence[str] = ("a", "b"),
    n_blocks: int = 3,
    scale: float = 1.0,
    failed: Sequence[str] = (),
) -> pa.Table:
    """Measured images with conductance ``scale * (block + 1)``, and failed ones."""
    place = {"model": cell.model, "pretrained": cell.pretrained, "task": cell.task}
    measured = [
        {
            **place,
            "image_id": image,
            "image_sha256": f"sha of {image}",
            "block": block,
            "block_name": f"layer{block}",
            "conductance": scale * (block + 1),
            "completeness_error": 0.01,
            "objective": 2.0,
            "reason": None,
        }
        for image in images
        for block in range(n_blocks)
    ]
    lost = [
        {**place, "image_id": image, "image_sha256": f"sha of {image}", "reason": "truncated"}
        for image in failed
    ]
    names = ["model", "pretrained", "task", "image_id", "image_sha256", "block", "block_name"]
    names += ["conductance", "completeness_error", "objective", "reason"]
    rows = [{name: row.get(name) for name in names} for row in [*measured, *lost]]
    return pa.table({name: [row[name] for row in rows] for name in names})
