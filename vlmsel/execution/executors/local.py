"""The reference executor.

One model after the other in this process, decoding the next unit beside the computation. Code of
the user (a registered encoder) may exit, crash or hang, which no process survives or can end in
itself: such a model is measured in a child process, which costs an import of torch, some seconds.
open_clip's models stay here, where they cost nothing; one that hung here, or at which a run died
before, gets a child, too.
"""

from collections.abc import Sequence
from queue import Empty, SimpleQueue

import torch

from vlmsel.execution.executors.child import ChildWorker
from vlmsel.execution.executors.threads import GRACE_S, Results, ThreadWorker
from vlmsel.execution.plan.decoded_share import cache_bytes_for
from vlmsel.execution.plan.limits import Limits
from vlmsel.execution.plan.run_options import WorkerOptions
from vlmsel.execution.plan.units import Job, ModelUnits, Unit, UnitOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.execution.work.device import best_device, check_device
from vlmsel.execution.work.in_flight import InFlight
from vlmsel.execution.work.loop import Lost, OnOutcome, work_loop
from vlmsel.execution.work.worker import record_failure

LocalWorker = ThreadWorker | ChildWorker


def run_local(
    plan: Plan,
    store_uri: str,
    *,
    device: str | None = None,
    max_memory_gb: float | None = None,
    threads: int = 1,
    limits: Limits | None = None,
    on_outcome: OnOutcome | None = None,
) -> RunSummary:
    """Run all of a plan on this machine.

    Args:
        plan: what to do.
        store_uri: where results go.
        device: torch device; None takes a GPU if there is one.
        max_memory_gb: bound on the attribution's memory.
        threads: torch threads; equal values bit for bit need the same number everywhere.
        limits: how long to wait for cells, and for faults that may pass.
        on_outcome: called with every settled cell.

    Raises:
        StoreError: results cannot be written.
        ExecutionError: most of what is read cannot be read.
    """
    options = WorkerOptions(
        store_uri=store_uri,
        device=check_device(device or best_device()),
        max_memory_gb=max_memory_gb,
        threads=threads,
        cache_bytes=cache_bytes_for(plan),
    )
    limits = limits or Limits()
    threads_before = torch.get_num_threads()
    in_flight = InFlight()
    grace_s = min(GRACE_S, limits.deadline_s or GRACE_S)
    pool = LocalPool(plan.job, options, in_flight, grace_s=grace_s)
    try:
        return work_loop(plan, pool, on_outcome, limits=limits)
    finally:
        in_flight.forget()
        torch.set_num_threads(threads_before)


class LocalPool:
    """At most one worker, called from as many threads as it may have units in flight.

    Args:
        job: what is measured.
        options: how workers work.
        in_flight: at which models runs died.
        grace_s: for a unit that is nearly done when its worker is not wanted any more.
    """

    def __init__(
        self, job: Job, options: WorkerOptions, in_flight: InFlight, *, grace_s: float = GRACE_S
    ) -> None:
        self._job = job
        self._options = options
        self._in_flight = in_flight
        self._suspects = set(in_flight.suspects)
        self._grace_s = grace_s
        self._results: Results = SimpleQueue()
        self._work: ModelUnits | None = None
        self._n_tickets = 0

    @property
    def is_full(self) -> bool:
        """True if there is a worker already."""
        return self._work is not None

    def fits(self, work: ModelUnits) -> bool:
        """Any model fits, one at a time."""
        return self._work is None

    def acquire(self, work: ModelUnits) -> LocalWorker:
        """Start a worker in this process, or in a child where the model may end its process."""
        self._work = work
        self._in_flight.begin(work.name)
        isolated = work.spec.encoder is not None or work.name in self._suspects
        kind = ChildWorker if isolated else ThreadWorker
        return kind(work, self._job, self._options, lambda *result: self._results.put(result))

    def submit(self, worker: LocalWorker, unit: Unit, *, last_try: bool) -> int:
        """Start one unit."""
        self._n_tickets += 1
        worker.submit(self._n_tickets, unit, last_try=last_try)
        return self._n_tickets

    def has_started(self, worker: LocalWorker) -> bool:
        """Tell whether the child has started; this process always has."""
        return worker.has_started

    def wait(
        self, tickets: Sequence[object], timeout_s: float | None
    ) -> list[tuple[object, UnitOutcome | Lost]]:
        """Block until at least one unit is done, or for `timeout_s`."""
        found: list[tuple[object, UnitOutcome | Lost]] = []
        try:
            ticket, result = self._results.get(timeout=timeout_s)
            while True:
                # A worker that was given up may still come with something.
                if ticket in tickets:
                    if isinstance(result, BaseException):
                        raise result
                    found.append((ticket, result))
                ticket, result = self._results.get_nowait()
        except Empty:
            return found

    def kill(self, worker: LocalWorker) -> None:
        """A child is killed at its release; threads cannot be, and are left behind."""

    def release(self, worker: LocalWorker, *, at_once: bool) -> None:
        """Forget the worker, and with it the model; units that did not begin are dropped."""
        if not worker.stop(at_once=at_once, grace_s=self._grace_s) and self._work is not None:
            self._suspects.add(self._work.name)
        self._in_flight.end()
        self._work = None

    def record_failure(self, unit: Unit, reason: str) -> None:
        """Note a failure that no worker noted."""
        record_failure(self._options.store_uri, self._job, unit, reason, "lost")
