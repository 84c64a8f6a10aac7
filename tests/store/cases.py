"""Rows and cells that the store's tests share."""

from collections.abc import Sequence

import pyarrow as pa

from vlmsel.measurements import Measurement, Prediction, Profile
from vlmsel.settings import AttributionSettings
from vlmsel.store import CellId, cell_key
from vlmsel.store.keys import images_digest

SETTINGS = AttributionSettings(n_steps=16, rule="trapezoid", path="uniform")
PROFILE = Profile(settings=SETTINGS)
PAPER = Profile(settings=AttributionSettings.preset("paper"))


def make_cell(
    model: str = "RN50",
    pretrained: str = "openai",
    task: str = "eurosat",
    images: Sequence[str] = ("a", "b"),
    measurement: Measurement = PROFILE,
) -> CellId:
    """A cell whose key follows from its model and images."""
    pairs = [(image, f"sha of {image}") for image in images]
    key = cell_key(f"{model}|{pretrained}", measurement.digest, images_digest(pairs))
    return CellId(model, pretrained, task, key, measurement.digest, measurement.kind)


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


def make_predictions(
    cell: CellId,
    images: Sequence[str] = ("a", "b"),
    answer: int = 0,
    failed: Sequence[str] = (),
) -> pa.Table:
    """Images on which a model gives one answer of two, and failed ones."""
    names = [*images, *failed]
    logits = [4.0, 1.0] if answer == 0 else [1.0, 4.0]
    values = {
        "argmax": answer,
        "top": [answer, 1 - answer],
        "log_sum_exp": 4.05,
        "logits": logits,
        "n_classes": 2,
    }
    columns = {
        "model": [cell.model] * len(names),
        "pretrained": [cell.pretrained] * len(names),
        "task": [cell.task] * len(names),
        "image_id": names,
        "image_sha256": [f"sha of {name}" for name in names],
        **{k: [value] * len(images) + [None] * len(failed) for k, value in values.items()},
        "reason": [None] * len(images) + ["truncated"] * len(failed),
    }
    return pa.table(columns, schema=Prediction.row_schema())
