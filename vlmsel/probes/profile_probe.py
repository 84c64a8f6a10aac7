"""Profiles: the block scores of a batch."""

import math
from collections.abc import Sequence

import pyarrow as pa
import torch
from torch import Tensor

from vlmsel.attribution.block_scores import LayerConductance
from vlmsel.attribution.model_attribution import attribute
from vlmsel.attribution.numerics import find_inexact_images
from vlmsel.attribution.pair import open_prompts
from vlmsel.errors import AttributionError, TaskError
from vlmsel.measurements.profile import OBJECTIVES_OF_TEXT, Profile
from vlmsel.probes.batch import Batch
from vlmsel.probes.protocol import Probed
from vlmsel.tasks.prompts import ClassPrompts

# Images of 224 x 224 per attribution, more of smaller ones; `max_memory_gb` splits further.
BATCH = {"cpu": 8, "cuda": 32}
PIXELS = 224 * 224


class ProfileProbe:
    """Scores every block, each image from that image alone."""

    needs_images = True
    layers: Sequence[str] = ()

    def __init__(self, measurement: Profile) -> None:
        self._settings = measurement.settings

    def measure(self, batch: Batch) -> Probed:
        """Score the images.

        Raises:
            AttributionError: the scores of this model mean nothing.
        """
        images, text = batch.images, self._text(batch)
        prompts = open_prompts(batch.model, self._settings, _texts(batch))
        pixels = images.shape[-2] * images.shape[-1]
        size = max(1, BATCH.get(batch.device.type, BATCH["cpu"]) * PIXELS // pixels)
        rows: list[tuple[int, dict[str, object]]] = []
        failures: dict[int, str] = {}
        inexact: dict[int, float] = {}
        for first in range(0, len(images), size):
            result = attribute(
                batch.model,
                images[first : first + size].to(batch.device),
                self._settings,
                max_memory_gb=batch.max_memory_gb,
                text=text,
                prompts=prompts,
            )
            failures |= {first + number: reason for number, reason in result.failures.items()}
            for number in find_inexact_images(result):
                inexact[first + number] = float(result.completeness_error[number])
            rows += [(first + number, row) for number, row in _rows(result)]
        fields = Profile.values
        columns = {f.name: pa.array([row[f.name] for _, row in rows], f.type) for f in fields}
        return Probed([number for number, _ in rows], columns, failures, inexact)

    def _text(self, batch: Batch) -> Tensor | None:
        objective = self._settings.objective
        if objective not in OBJECTIVES_OF_TEXT:
            return None
        if not isinstance(batch.prompts, ClassPrompts):
            raise TaskError(
                f"the task has no class names, which the {objective} objective needs: add "
                "classnames and templates, or prompts, to the task catalog"
            )
        if batch.model.encode_text is None:
            raise AttributionError(
                f"{batch.model.spec.name} encodes no text: use another objective"
            )
        with torch.no_grad():
            return batch.class_embeddings


def _texts(batch: Batch) -> list[tuple[str, ...]]:
    """Prompts of every class of the task; none where it has no class names."""
    prompts = batch.prompts
    if not isinstance(prompts, ClassPrompts):
        return []
    return [tuple(prompts.texts(name)) for name in prompts.classnames]


def _rows(result: LayerConductance) -> list[tuple[int, dict[str, object]]]:
    rows: list[tuple[int, dict[str, object]]] = []
    for number in range(len(result.scores)):
        if number in result.failures:
            continue
        error = float(result.completeness_error[number])
        shared = {
            # NaN says that this attribution has no completeness; the table says it with a null.
            "completeness_error": None if math.isnan(error) else error,
            "objective": float(result.objective[number]),
        }
        for block, name in enumerate(result.names):
            value = float(result.scores[number, block])
            rows.append(
                (number, {"block": block, "block_name": name, "conductance": value, **shared})
            )
    return rows
