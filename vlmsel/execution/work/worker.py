"""A worker: loads one VLM once and measures many units with it.

It writes to the store itself and never lies about a cell.
"""

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vlmsel.errors import (
    ExecutionError,
    MemoryLimitError,
    ModelError,
    RowsError,
    StoreError,
    StoreUnavailableError,
    UnavailableError,
)
from vlmsel.execution.plan.run_options import WorkerOptions
from vlmsel.execution.plan.units import Cell, CellOutcome, Job, Unit, UnitOutcome
from vlmsel.execution.work.byte_pool import BytePool
from vlmsel.execution.work.cell_rows import cell_rows
from vlmsel.execution.work.decoded_images import (
    DecodedCache,
    DecodedShard,
    decode_pictures,
    tensor_bytes,
)
from vlmsel.execution.work.derived_predictions import stored_embeddings
from vlmsel.probes.batch import Batch, ClassTexts, TextBatch
from vlmsel.probes.probe_registry import make_probe
from vlmsel.probes.protocol import Probe, Probed
from vlmsel.redaction import describe_error
from vlmsel.store.store import Store
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.outages import TRANSIENT, is_unavailable, may_pass
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.tasks.shards import Shard
from vlmsel.tasks.task_texts import TextShard
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_model

log = logging.getLogger(__name__)

# Decoded images of the units that a worker has at a time; a unit that is larger is there alone.
POOL_BYTES = 2**30
# Everyone's trouble: a store that cannot be written, a machine that cannot work.
RUN_FAULTS = (StoreError, ExecutionError)


@dataclass
class _Inputs:
    """The decoded images that all cells of a unit share.

    Attributes:
        batch: None where no image could be read.
        refs: the images of the batch.
        failed: (image, reason) of the others.
        n_decoded: images that were decoded for it.
    """

    batch: Batch | None
    refs: tuple[ImageRef, ...]
    failed: tuple[tuple[ImageRef, str], ...]
    n_decoded: int


class ModelWorker:
    """One VLM and the units it measures.

    `run` may be called from two threads: one decodes while the other computes.

    Args:
        spec: the model; it is loaded when the first cell needs it.
        identity: what the plan took it for; a node with other weights must not measure under
            this key.
        job: what to measure.
        options: where and how.
    """

    def __init__(
        self, spec: ModelSpec, identity: ModelIdentity, job: Job, options: WorkerOptions
    ) -> None:
        torch.set_num_threads(options.threads)
        self._spec = spec
        self._identity = identity
        self._job = job
        self._options = options
        self._store = Store(options.store_uri)
        self._cache = DecodedCache(options.cache_bytes)
        self._probes = {
            kind: make_probe(measurement) for kind, measurement in job.measurements.items()
        }
        self._texts = ClassTexts()
        self._pool = BytePool(POOL_BYTES)
        self._bytes_of_one: int | None = None
        self._accelerator = threading.Lock()
        self._loading = threading.Lock()
        self._loaded: LoadedModel | ModelError | None = None

    def run(self, unit: Unit, *, last_try: bool = False) -> UnitOutcome:
        """Measure the cells of a unit, or say why not. A cell that the store has is skipped.

        Args:
            unit: what to measure.
            last_try: record even a failure that may pass.

        Raises:
            StoreError: a result cannot be written.
            ExecutionError: nothing can be measured here.
        """
        try:
            skipped = {cell: self._find_skipped(cell) for cell in unit.cells}
        except StoreUnavailableError as error:
            if last_try:
                raise
            return UnitOutcome(tuple(self._fail(cell, error) for cell in unit.cells))
        missing = [cell for cell, outcome in skipped.items() if outcome is None]
        done = self._measure(unit.shard, missing, last_try=last_try) if missing else {}
        return UnitOutcome(tuple(skipped[cell] or done[cell] for cell in unit.cells))

    def _find_skipped(self, cell: Cell) -> CellOutcome | None:
        """The outcome of a cell that somebody else measured or mended, or a call that died."""
        if not self._store.has(cell.id):
            return None
        failed = self._store.failed_in(cell.id)
        if cell.again and failed:
            return None
        return CellOutcome(cell.id, "skipped", failed_images=failed)

    def _measure(
        self, shard: Shard, cells: Sequence[Cell], *, last_try: bool
    ) -> dict[Cell, CellOutcome]:
        """Outcomes of cells that are not in the store; a probe that fails fails its own cell."""
        try:
            model = self._model()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - encoders are users' code
            self._raise_if_lasting(error, last_try=last_try)
            return {cell: self._fail(cell, error, last_try=last_try) for cell in cells}
        with self._pool.hold(len(shard.images) * self._image_bytes(model)):
            return self._measure_with(model, shard, cells, last_try=last_try)

    def _image_bytes(self, model: LoadedModel) -> int:
        """Bytes of one image as the model takes it; the whole pool where that cannot be told."""
        if self._bytes_of_one is None:
            self._bytes_of_one = tensor_bytes(model.transform) or POOL_BYTES
        return self._bytes_of_one

    def _measure_with(
        self, model: LoadedModel, shard: Shard, cells: Sequence[Cell], *, last_try: bool
    ) -> dict[Cell, CellOutcome]:
        try:
            inputs = self._inputs(model, shard, cells, last_try=last_try)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - encoders and transforms are users' code
            self._raise_if_lasting(error, last_try=last_try)
            return {cell: self._fail(cell, error, last_try=last_try) for cell in cells}
        outcomes: dict[Cell, CellOutcome] = {}
        for number, cell in enumerate(cells):
            try:
                n_decoded = 0 if number else inputs.n_decoded
                outcomes[cell] = self._measure_cell(model, cell, inputs, n_decoded)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - likewise
                self._raise_if_lasting(error, last_try=last_try)
                outcomes[cell] = self._fail(cell, error, last_try=last_try)
        return outcomes

    def _raise_if_lasting(self, error: BaseException, *, last_try: bool) -> None:
        """Raise what ends the run: not a store that may be there again at the next try."""
        if isinstance(error, StoreUnavailableError) and not last_try:
            return
        # Rows that are none of their kind are the fault of what made them.
        if isinstance(error, RUN_FAULTS) and not isinstance(error, RowsError):
            raise error

    def _inputs(
        self, model: LoadedModel, shard: Shard, cells: Sequence[Cell], *, last_try: bool
    ) -> _Inputs:
        """The shard decoded, or its stored embeddings where they are enough for every cell.

        What may be readable later is left out by the last try only.

        Raises:
            UnavailableError: images cannot be read now.
        """
        if isinstance(shard, TextShard):
            batch = TextBatch(model, shard.texts, [ref.sha256 for ref in shard.images])
            return _Inputs(batch, shard.images, (), 0)
        probes = [self._probes[cell.id.kind] for cell in cells]
        prompts = self._job.prompts.get(shard.task)
        if isinstance(prompts, TaskQuestions):
            if Capability.choice_scores in model.capabilities:
                return self._decode_with_questions(model, shard, prompts, probes, last_try=last_try)
        elif not any(probe.needs_images for probe in probes):
            known = stored_embeddings(self._store, self._spec, self._identity, shard)
            if known is not None:
                batch = Batch(
                    model,
                    None,
                    [ref.sha256 for ref in shard.images],
                    prompts=prompts,
                    texts=self._texts,
                    embedding=known,
                )
                return _Inputs(batch, shard.images, (), 0)
        decoded = self._cache.get(self._identity.preprocessing, shard, model.transform)
        _require_available(decoded, last_try=last_try)
        batch = None
        if decoded.images is not None:
            batch = Batch(
                model,
                decoded.images,
                [ref.sha256 for ref in decoded.refs],
                prompts=prompts,
                texts=self._texts,
                layers=[layer for probe in probes for layer in probe.layers],
                max_memory_gb=self._options.max_memory_gb,
            )
        return _Inputs(batch, decoded.refs, decoded.failed, decoded.n_decoded)

    def _decode_with_questions(
        self,
        model: LoadedModel,
        shard: Shard,
        questions: TaskQuestions,
        probes: Sequence[Probe],
        *,
        last_try: bool,
    ) -> _Inputs:
        """The shard decoded with the questions about its pictures.

        Raises:
            UnavailableError: images cannot be read now.
        """
        transform = model.transform if model.embeds_images else None
        decoded, pictures = decode_pictures(shard, transform)
        _require_available(decoded, last_try=last_try)
        if not decoded.refs:
            return _Inputs(None, (), decoded.failed, 0)
        batch = Batch(
            model,
            decoded.images,
            [ref.sha256 for ref in decoded.refs],
            prompts=questions.only(ref.image_id for ref in decoded.refs),
            texts=self._texts,
            layers=[layer for probe in probes for layer in probe.layers],
            max_memory_gb=self._options.max_memory_gb,
        )
        batch.pictures = pictures
        return _Inputs(batch, decoded.refs, decoded.failed, decoded.n_decoded)

    def _missing_capabilities(self, model: LoadedModel, cell: Cell) -> frozenset[Capability]:
        measurement = self._job.measurements[cell.id.kind]
        asks = isinstance(self._job.prompts.get(cell.id.task), TaskQuestions)
        return measurement.requires_of(asks_questions=asks) - model.capabilities

    def _measure_cell(
        self, model: LoadedModel, cell: Cell, inputs: _Inputs, n_decoded: int
    ) -> CellOutcome:
        kind = cell.id.kind
        measurement = self._job.measurements[kind]
        lacking = self._missing_capabilities(model, cell)
        if lacking:
            what = " and ".join(sorted(lacking))
            raise ModelError(f"{self._spec.name} has no {what}, which a {kind} needs")
        probed, seconds = Probed([], {}), 0.0
        if inputs.batch is not None:
            with self._accelerator:
                start = time.perf_counter()
                probed = self._probes[kind].measure(inputs.batch)
                seconds = time.perf_counter() - start
        failed = list(inputs.failed)
        failed += [(inputs.refs[number], reason) for number, reason in probed.failures.items()]
        n_images = len(set(probed.images))
        if n_images == 0:
            ref, first = failed[0]
            reason = (
                f"none of {len(failed)} image(s) could be measured; the first, {ref.image_id}: "
                f"{first}"
            )
            unavailable = any(is_unavailable(why) for _, why in failed)
            return self._record(cell, reason, TRANSIENT if unavailable else "images")
        rows = cell_rows(cell.id, measurement, inputs.refs, probed, failed)
        self._store.write(cell.id, measurement, rows, replace=cell.again)
        log.info("measured", extra={"cell": str(cell.id), "seconds": seconds})
        reasons = tuple((ref.image_id, reason) for ref, reason in failed)
        return CellOutcome(
            cell.id,
            "measured",
            n_images=n_images,
            # A retry that did no better has changed nothing.
            failed_images=self._store.failed_in(cell.id) if cell.again else reasons,
            seconds=seconds,
            n_decoded=n_decoded,
            inexact=tuple(
                (inputs.refs[number].image_id, error) for number, error in probed.inexact.items()
            ),
        )

    def _fail(self, cell: Cell, error: BaseException, *, last_try: bool = False) -> CellOutcome:
        reason = describe_error(error)
        log.warning("failed: %s", reason, extra={"cell": str(cell.id)})
        log.debug("where it failed", exc_info=error, extra={"cell": str(cell.id)})
        kind = _kind_of(error)
        if kind == TRANSIENT and not last_try:
            return CellOutcome(cell.id, "failed", reason, transient=True)
        try:
            return self._record(cell, reason, kind)
        except StoreUnavailableError:
            if last_try:
                raise
            return CellOutcome(cell.id, "failed", reason, transient=True)

    def _record(self, cell: Cell, reason: str, kind: str) -> CellOutcome:
        if cell.again and self._store.has(cell.id):
            # What the store holds of it still counts.
            log.warning("the retry failed: %s", reason, extra={"cell": str(cell.id)})
            failed = self._store.failed_in(cell.id)
            return CellOutcome(cell.id, "skipped", failed_images=failed)
        self._store.fail(cell.id, self._job.measurements[cell.id.kind], reason, kind=kind)
        return CellOutcome(cell.id, "failed", reason)

    def _model(self) -> LoadedModel:
        """The model, loaded once; a model that does not load is not tried again for every cell."""
        with self._loading:
            if self._loaded is None:
                try:
                    self._loaded = self._load()
                except (OSError, MemoryError, torch.OutOfMemoryError):
                    raise
                except (Exception, SystemExit) as error:  # noqa: BLE001 - libraries and users' code build models
                    self._loaded = self._lasting_error(error)
        if isinstance(self._loaded, ModelError):
            raise self._loaded
        return self._loaded

    def _lasting_error(self, error: BaseException) -> ModelError:
        """The error of a model that will not load; raises UnavailableError for one that may."""
        weights = self._spec.weights
        if may_pass(error) or (weights is not None and not os.path.exists(weights)):
            raise UnavailableError(describe_error(error)) from error
        if isinstance(error, ModelError):
            return error
        return ModelError(f"{self._spec.name}: cannot be loaded: {describe_error(error)}")

    def _load(self) -> LoadedModel:
        model = load_model(self._spec, device=self._options.device)
        if model.identity != self._identity:
            raise ModelError(
                f"{self._spec.name}: this node has other weights or another configuration than "
                "the plan was made with: bring the nodes' copies in line, or run again"
            )
        return model


def _require_available(decoded: DecodedShard, *, last_try: bool) -> None:
    """Refuse a shard of which images cannot be read now.

    Raises:
        UnavailableError: they may be readable later, and this is not the last try.
    """
    if decoded.n_unavailable and not last_try:
        first = next(reason for _, reason in decoded.failed if is_unavailable(reason))
        raise UnavailableError(f"{decoded.n_unavailable} image(s) {first}")


def record_failure(store_uri: str, job: Job, unit: Unit, reason: str, kind: str) -> None:
    """Note a failure of a whole unit that no worker noted.

    Raises:
        StoreError: it cannot be written.
    """
    store = Store(store_uri)
    for cell in unit.cells:
        store.fail(cell.id, job.measurements[cell.id.kind], reason, kind=kind)


def _kind_of(error: BaseException) -> str:
    if may_pass(error):
        return TRANSIENT
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError | MemoryLimitError)
    return "out-of-memory" if memory else "error"
