"""The reference executor.

One model after the other in this process, decoding the next unit beside the computation.
"""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import torch

from vlmsel.execution.cells import Job, ModelWork, Unit, UnitOutcome
from vlmsel.execution.device import best_device, check_device
from vlmsel.execution.dispatch import IN_FLIGHT
from vlmsel.execution.loop import Lost, OnOutcome, work_loop
from vlmsel.execution.options import WorkerOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.sharing import cache_bytes_for
from vlmsel.execution.summary import RunSummary
from vlmsel.execution.worker import ModelWorker, record_failure


def run_local(
    plan: Plan,
    store_uri: str,
    *,
    device: str | None = None,
    max_memory_gb: float | None = None,
    threads: int = 1,
    on_outcome: OnOutcome | None = None,
) -> RunSummary:
    """Do all of a plan here.

    Args:
        plan: what to do.
        store_uri: where results go.
        device: torch device; None takes a GPU if there is one.
        max_memory_gb: bound on the attribution's memory.
        threads: torch threads; equal values bit for bit need the same number everywhere.
        on_outcome: called with every settled cell.

    Raises:
        StoreError: results cannot be written.
    """
    options = WorkerOptions(
        store_uri=store_uri,
        device=check_device(device or best_device()),
        max_memory_gb=max_memory_gb,
        threads=threads,
        cache_bytes=cache_bytes_for(plan),
    )
    threads_before = torch.get_num_threads()
    try:
        return work_loop(plan, LocalCrew(plan.job, options), on_outcome)
    finally:
        torch.set_num_threads(threads_before)


class LocalCrew:
    """At most one worker, called from as many threads as it may have units in flight."""

    def __init__(self, job: Job, options: WorkerOptions) -> None:
        self._job = job
        self._options = options
        self._worker: ModelWorker | None = None
        self._threads = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="vlmsel-worker")

    @property
    def is_full(self) -> bool:
        """Whether there is a worker already."""
        return self._worker is not None

    def fits(self, work: ModelWork) -> bool:
        """Any model fits, one at a time."""
        return self._worker is None

    def hire(self, work: ModelWork) -> ModelWorker:
        """A worker in this process."""
        self._worker = ModelWorker(work.spec, work.identity, self._job, self._options)
        return self._worker

    def submit(self, worker: ModelWorker, unit: Unit, *, last_try: bool) -> Future[UnitOutcome]:
        """Start one unit in a thread."""
        return self._threads.submit(worker.run, unit, last_try=last_try)

    def wait(self, tickets: Sequence[object]) -> list[tuple[object, UnitOutcome | Lost]]:
        """Block until at least one unit is done."""
        futures = [ticket for ticket in tickets if isinstance(ticket, Future)]
        done = wait(futures, return_when=FIRST_COMPLETED).done
        return [(future, future.result()) for future in done]

    def release(self, worker: ModelWorker, *, at_once: bool) -> None:
        """Forget the worker, and with it the model; units that did not begin are dropped."""
        if at_once:
            self._threads.shutdown(wait=True, cancel_futures=True)
        self._worker = None

    def record_failure(self, unit: Unit, reason: str) -> None:
        """Note a failure that no worker noted."""
        record_failure(self._options.store_uri, self._job, unit, reason, "lost")
