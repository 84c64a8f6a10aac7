"""A worker: loads one VLM once and measures many cells with it.

It writes to the store itself and never lies about a cell.
"""

import logging
import os
import threading
from functools import partial

import torch

from vlmsel.errors import (
    ExecutionError,
    MemoryLimitError,
    ModelError,
    StoreError,
    StoreUnavailableError,
    UnavailableError,
    VlmselError,
)
from vlmsel.execution.cells import AccuracyJob, Cell, CellOutcome, Job
from vlmsel.execution.decoded import DecodedCache, DecodedShard
from vlmsel.execution.measure import Measured, Recorder
from vlmsel.execution.options import WorkerOptions
from vlmsel.execution.profiling import ProfileRecorder
from vlmsel.execution.zero_shot import AccuracyRecorder
from vlmsel.tasks.outages import TRANSIENT, is_unavailable, may_pass
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity
from vlmsel.zoo.loader import LoadedModel, load_model

log = logging.getLogger(__name__)

# Everyone's trouble: a store that cannot be written, a machine that cannot work.
RUN_FAULTS = (StoreError, ExecutionError)


class ModelWorker:
    """One VLM and the cells it measures.

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
        self._options = options
        self._cache = DecodedCache(options.cache_bytes)
        self._recorder = make_recorder(job, options.store_uri, options.max_memory_gb)
        self._accelerator = threading.Lock()
        self._loading = threading.Lock()
        self._loaded: LoadedModel | ModelError | None = None

    def run(self, cell: Cell, *, last_try: bool = False) -> CellOutcome:
        """Measure one cell, or say why not. A cell that the store has is skipped.

        Args:
            cell: what to measure.
            last_try: record even a failure that may pass.

        Raises:
            StoreError: the result cannot be written.
            ExecutionError: nothing can be measured here.
        """
        try:
            if self._recorder.has(cell):
                # Measured or mended by somebody else, or by this call before its worker died.
                failed = self._recorder.failed_images(cell)
                if not (cell.again and failed):
                    return CellOutcome(cell.id, "skipped", failed_images=failed)
            model = self._model()
            decode = partial(self._decode, last_try=last_try)
            measured = self._recorder.measure(model, cell, decode, self._accelerator)
            return self._outcome(cell, measured)
        except StoreUnavailableError as error:
            if last_try:
                raise
            return self._failed(cell, error, TRANSIENT, record=False)
        except RUN_FAULTS:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - encoders and transforms are users' code
            kind = _kind_of(error)
            return self._failed(cell, error, kind, record=last_try or kind != TRANSIENT)

    def _outcome(self, cell: Cell, measured: Measured) -> CellOutcome:
        if measured.n_images == 0:
            ref, first = measured.failed[0]
            count = len(measured.failed)
            reason = (
                f"none of {count} image(s) could be measured; the first, {ref.image_id}: {first}"
            )
            unavailable = any(is_unavailable(why) for _, why in measured.failed)
            return self._recorded(cell, reason, TRANSIENT if unavailable else "images")
        log.info("measured", extra={"cell": str(cell.id), "seconds": measured.seconds})
        failed = tuple((ref.image_id, reason) for ref, reason in measured.failed)
        return CellOutcome(
            cell.id,
            "measured",
            n_images=measured.n_images,
            # A retry that did no better has changed nothing.
            failed_images=self._recorder.failed_images(cell) if cell.again else failed,
            seconds=measured.seconds,
            n_decoded=measured.n_decoded,
            inexact=tuple((ref.image_id, error) for ref, error in measured.inexact),
        )

    def _failed(self, cell: Cell, error: BaseException, kind: str, *, record: bool) -> CellOutcome:
        reason = one_line(error)
        log.warning("failed: %s", reason, extra={"cell": str(cell.id)})
        log.debug("where it failed", exc_info=error, extra={"cell": str(cell.id)})
        if record:
            return self._recorded(cell, reason, kind)
        return CellOutcome(cell.id, "failed", reason, transient=True)

    def _recorded(self, cell: Cell, reason: str, kind: str) -> CellOutcome:
        if cell.again and self._recorder.has(cell):
            # What the store holds of it still counts.
            log.warning("the retry failed: %s", reason, extra={"cell": str(cell.id)})
            failed = self._recorder.failed_images(cell)
            return CellOutcome(cell.id, "skipped", failed_images=failed)
        self._recorder.fail(cell, reason, kind)
        return CellOutcome(cell.id, "failed", reason)

    def _decode(self, shard: Shard, *, last_try: bool) -> DecodedShard:
        """The decoded shard; what may be readable later is left out by the last try only."""
        model = self._model()
        decoded = self._cache.get(self._identity.preprocessing, shard, model.transform)
        if decoded.n_unavailable and not last_try:
            first = next(reason for _, reason in decoded.failed if is_unavailable(reason))
            raise UnavailableError(f"{decoded.n_unavailable} image(s) {first}")
        return decoded

    def _model(self) -> LoadedModel:
        """The model, loaded once; a model that does not load is not tried again for every cell."""
        with self._loading:
            if self._loaded is None:
                try:
                    self._loaded = self._load()
                except (OSError, MemoryError, torch.OutOfMemoryError):
                    raise
                except (Exception, SystemExit) as error:  # noqa: BLE001 - libraries and users' code build models
                    self._loaded = self._lasting(error)
        if isinstance(self._loaded, ModelError):
            raise self._loaded
        return self._loaded

    def _lasting(self, error: BaseException) -> ModelError:
        """The error of a model that will not load; raises UnavailableError for one that may."""
        weights = self._spec.weights
        if may_pass(error) or (weights is not None and not os.path.exists(weights)):
            raise UnavailableError(one_line(error)) from error
        if isinstance(error, ModelError):
            return error
        return ModelError(f"{self._spec.name}: cannot be loaded: {one_line(error)}")

    def _load(self) -> LoadedModel:
        model = load_model(self._spec, device=self._options.device)
        if model.identity != self._identity:
            raise ModelError(
                f"{self._spec.name}: this node has other weights or another configuration than "
                "the plan was made with: bring the nodes' copies in line, or run again"
            )
        return model


def make_recorder(job: Job, store_uri: str, max_memory_gb: float | None = None) -> Recorder:
    """What measures and stores the cells of a job."""
    if isinstance(job, AccuracyJob):
        return AccuracyRecorder(job, store_uri)
    return ProfileRecorder(job, store_uri, max_memory_gb)


def one_line(error: BaseException) -> str:
    """An error's message on one line, with its kind where the message alone says nothing."""
    if isinstance(error, SystemExit):
        return f"its code asked to exit (SystemExit {error.code})"
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, VlmselError) else f"{type(error).__name__}: {text}"


def _kind_of(error: BaseException) -> str:
    if may_pass(error):
        return TRANSIENT
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError | MemoryLimitError)
    return "out-of-memory" if memory else "error"
