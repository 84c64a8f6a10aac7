"""Profile cells: block scores of a shard's images, as rows of the profile store."""

import math
import time
from contextlib import AbstractContextManager
from itertools import chain

import pyarrow as pa
import torch
from torch import Tensor

from vlmsel.attribution.conductance import LayerConductance
from vlmsel.attribution.numerics import inexact_images
from vlmsel.attribution.profile import attribute
from vlmsel.errors import AttributionError, TaskError
from vlmsel.execution.cells import Cell, ProfileJob
from vlmsel.execution.classes import class_embeddings
from vlmsel.execution.measure import Decode, Measured
from vlmsel.store.failed_images import ImageReasons
from vlmsel.store.profiles import ProfileStore
from vlmsel.store.schema import PROFILE_SCHEMA
from vlmsel.tasks.index import ImageRef
from vlmsel.zoo.loader import LoadedModel

# Images of 224 x 224 per attribution, more of smaller ones; `max_memory_gb` splits further.
BATCH = {"cpu": 8, "cuda": 32}
PIXELS = 224 * 224

Row = dict[str, object]


class ProfileRecorder:
    """Measures and stores block profiles.

    Args:
        job: settings, and prompts where the objective reads them.
        store_uri: address of the profile store.
        max_memory_gb: bound on the attribution's memory.
    """

    def __init__(self, job: ProfileJob, store_uri: str, max_memory_gb: float | None) -> None:
        self._job = job
        self._store = ProfileStore(store_uri)
        self._max_memory_gb = max_memory_gb

    def has(self, cell: Cell) -> bool:
        """Whether the store holds this cell."""
        return self._store.has(cell.id)

    def failed_images(self, cell: Cell) -> ImageReasons:
        """(image_id, reason) of the images that failed in a measured cell."""
        return self._store.failed_in(cell.id)

    def measure(
        self,
        model: LoadedModel,
        cell: Cell,
        decode: Decode,
        accelerator: AbstractContextManager[object],
    ) -> Measured:
        """Score every readable image and commit the rows, failed images among them.

        Raises:
            AttributionError: the scores of this model mean nothing.
            StoreError: the rows cannot be written.
        """
        decoded = decode(cell.shard)
        if decoded.images is None:
            return Measured(0, decoded.failed, 0.0, 0)
        with accelerator:
            start = time.perf_counter()
            scored = self._score(model, cell, decoded.images)
            seconds = time.perf_counter() - start
        failed = list(decoded.failed)
        inexact: list[tuple[ImageRef, float]] = []
        rows: list[Row] = []
        first = 0
        for result in scored:
            refs = decoded.refs[first : first + len(result.scores)]
            first += len(refs)
            failed += [(refs[number], reason) for number, reason in result.failures.items()]
            inexact += [
                (refs[number], float(result.completeness_error[number]))
                for number in inexact_images(result)
            ]
            rows += _measured_rows(cell, refs, result)
        n_images = len(decoded.refs) + len(decoded.failed) - len(failed)
        if n_images:
            rows += [_row(cell, ref, reason=reason) for ref, reason in failed]
            table = pa.Table.from_pylist(rows, schema=PROFILE_SCHEMA)
            self._store.write(cell.id, self._job.settings, table, replace=cell.again)
        return Measured(n_images, tuple(failed), seconds, decoded.n_decoded, tuple(inexact))

    def fail(self, cell: Cell, reason: str, kind: str) -> None:
        """Note in the store why a cell could not be measured."""
        self._store.write_failure(cell.id, self._job.settings, reason, kind=kind)

    def _score(self, model: LoadedModel, cell: Cell, images: Tensor) -> list[LayerConductance]:
        resident = chain(model.visual.parameters(), model.visual.buffers())
        device = next((tensor.device for tensor in resident), torch.device("cpu"))
        text = self._text(model, cell)
        pixels = images.shape[-2] * images.shape[-1]
        size = max(1, BATCH.get(device.type, BATCH["cpu"]) * PIXELS // pixels)
        return [
            attribute(
                model,
                images[first : first + size].to(device),
                self._job.settings,
                max_memory_gb=self._max_memory_gb,
                text=text,
            )
            for first in range(0, len(images), size)
        ]

    def _text(self, model: LoadedModel, cell: Cell) -> Tensor | None:
        if self._job.settings.objective != "alignment":
            return None
        prompts = self._job.prompts.get(cell.id.task)
        if prompts is None:
            raise TaskError(
                f"task {cell.id.task} has no class names, which the alignment objective needs: "
                "add classnames and templates, or prompts, to the task catalog"
            )
        if model.encode_text is None:
            raise AttributionError(f"{model.spec.name} encodes no text: use another objective")
        with torch.no_grad():
            return class_embeddings(model.encode_text, prompts)


def _measured_rows(cell: Cell, refs: tuple[ImageRef, ...], result: LayerConductance) -> list[Row]:
    rows: list[Row] = []
    for number, ref in enumerate(refs):
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
            rows.append(_row(cell, ref, block=block, block_name=name, conductance=value, **shared))
    return rows


def _row(cell: Cell, ref: ImageRef, **values: object) -> Row:
    return {
        "model": cell.id.model,
        "pretrained": cell.id.pretrained,
        "task": cell.id.task,
        "image_id": ref.image_id,
        "image_sha256": ref.sha256,
        **values,
    }
