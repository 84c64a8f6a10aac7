"""The work loop of all executors.

A pool gives it workers, here or on Ray; it hands out units and settles every cell once. It waits
for nothing without a bound, so a run always ends.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.limits import Limits, OutageBreaker, first_of
from vlmsel.execution.plan.units import CellOutcome, ModelUnits, Unit, UnitOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.execution.work.dispatch import IN_FLIGHT, START_S, ModelQueue, Turn, next_model

log = logging.getLogger(__name__)

Worker = TypeVar("Worker")
OnOutcome = Callable[[CellOutcome], None]

# A worker may wait for its place, which others hold; where no worker has one, not for ever.
PLACE_S = 3600.0
START_POLL_S = 0.5
MOMENT_S = 0.01


@dataclass(frozen=True)
class Lost:
    """A worker died, or its call did, before an outcome came back."""

    reason: str
    worker_is_dead: bool = True


class WorkerPool(Protocol[Worker]):
    """The workers of an executor, by model."""

    @property
    def is_full(self) -> bool:
        """True if no worker of any model has room: the usual state, so that asking is cheap."""
        ...

    def fits(self, work: ModelUnits) -> bool:
        """Tell whether there is room for one more worker of this model."""
        ...

    def acquire(self, work: ModelUnits) -> Worker:
        """Return a worker of this model."""
        ...

    def submit(self, worker: Worker, unit: Unit, *, last_try: bool) -> object:
        """Start one unit and return a hashable ticket."""
        ...

    def has_started(self, worker: Worker) -> bool:
        """Tell whether a worker has its place and works: from then on its time counts."""
        ...

    def wait(
        self, tickets: Sequence[object], timeout_s: float | None
    ) -> list[tuple[object, UnitOutcome | Lost]]:
        """Block until at least one ticket is done, or for `timeout_s`.

        Raises StoreError when results cannot be written.
        """
        ...

    def kill(self, worker: Worker) -> None:
        """End the process of a worker that hangs, whatever it does; `release` follows."""
        ...

    def release(self, worker: Worker, *, at_once: bool) -> None:
        """Release a worker; `at_once` where it is dead or what it does is not wanted any more."""
        ...

    def record_failure(self, unit: Unit, reason: str) -> None:
        """Write down a failure that no worker lived to write."""
        ...


@dataclass
class _Slot(Generic[Worker]):
    """One worker and its calls that are out, each with the time when it was handed out.

    Attributes:
        since: when it last gave an outcome, or started.
        n_done: outcomes it gave.
    """

    worker: Worker
    queue: ModelQueue
    tickets: dict[object, tuple[Turn, float]] = field(default_factory=dict)
    dead: bool = False
    since: float = 0.0
    started: bool = False
    n_done: int = 0

    def deadline(self, limits: Limits) -> float:
        """Time by which it must have given its next outcome."""
        n_images = sum(len(turn.unit.shard.images) for turn, _ in self.tickets.values())
        return self.since + limits.cell_s(n_images, self.queue.image_s, loads=not self.n_done)


def work_loop(
    plan: Plan,
    pool: WorkerPool[Worker],
    on_outcome: OnOutcome | None = None,
    *,
    start_s: float = START_S,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RunSummary:
    """Run all of a plan with the workers of an executor.

    Args:
        plan: what to do.
        pool: the workers.
        on_outcome: called with every settled cell, in the driver.
        start_s: what one more worker of a model must be worth, in seconds.
        limits: how long to wait for cells, and for faults that may pass, and how often to try.
        clock: seconds.
        sleep: waits so many seconds.

    Returns:
        What happened; every cell of the plan is in it once, or counted as left for a next run.

    Raises:
        StoreError: results cannot be written; what was measured before is in the store.
        ExecutionError: most of what is read cannot be read, or no worker gets a place.
    """
    queues = [ModelQueue(work) for work in plan.work]
    loop = _Loop(queues, pool, on_outcome, limits or Limits(), clock)
    try:
        while loop.acquire_and_hand_out(start_s):
            if not loop.n_out:
                sleep(max(loop.idle_s(), MOMENT_S))
                continue
            loop.settle_some()
            loop.kill_overdue()
    finally:
        loop.release_all()
    return loop.summary()


class _Loop(Generic[Worker]):
    def __init__(
        self,
        queues: list[ModelQueue],
        pool: WorkerPool[Worker],
        on_outcome: OnOutcome | None,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._outcomes: list[CellOutcome] = []
        self._queues = queues
        self._pool = pool
        self._on_outcome = on_outcome
        self._limits = limits
        self._clock = clock
        self._breaker = OutageBreaker(limits)
        self._last_outage: str | None = None
        self._slots: list[_Slot[Worker]] = []
        self._last_start = clock()
        self._end = None if self._limits.run_s is None else clock() + self._limits.run_s
        self._n_left = 0

    def summary(self) -> RunSummary:
        """Summarise the cells that were settled so far."""
        return replace(RunSummary.of(self._outcomes), n_left=self._n_left)

    @property
    def n_out(self) -> int:
        """Calls that are out."""
        return sum(len(slot.tickets) for slot in self._slots)

    def idle_s(self) -> float:
        """Seconds until the first unit that waits is due."""
        due = [turn.due for queue in self._queues for turn in queue.waiting]
        return first_of(due, self._clock()) or 0.0

    def acquire_and_hand_out(self, start_s: float) -> bool:
        """Take workers and hand out units; False when nothing is out or waits any more."""
        self._leave_broken_models()
        self._leave_the_rest()
        self._release_idle()
        while (queue := self._next(start_s)) is not None:
            worker = self._pool.acquire(queue.work)
            queue.n_workers += 1
            self._slots.append(_Slot(worker, queue, since=self._clock()))
            self._hand_out(self._slots[-1])
        for slot in self._slots:
            self._hand_out(slot)
        return bool(self.n_out) or any(queue.waiting for queue in self._queues)

    def settle_some(self) -> None:
        """Wait for outcomes, or until something is due, and settle them."""
        owner = {ticket: slot for slot in self._slots for ticket in slot.tickets}
        for ticket, result in self._pool.wait(list(owner), self._patience_s()):
            slot = owner[ticket]
            turn, handed_out = slot.tickets.pop(ticket)
            if isinstance(result, Lost):
                slot.dead = slot.dead or result.worker_is_dead
                # Two calls of one worker are lost in one death.
                n_deaths = int(result.worker_is_dead and not slot.tickets)
                self._handle_loss(slot.queue, turn, result.reason, n_deaths=n_deaths)
                continue
            time_s = self._clock()
            again = turn.unit.only(outcome.cell for outcome in result.outcomes if outcome.transient)
            slot.since, slot.n_done = time_s, slot.n_done + (not again.cells)
            for outcome in result.outcomes:
                self._breaker.note(outcome.cell, time_s, is_read=not outcome.transient)
                if not outcome.transient:
                    self._settle(outcome)
            if again.cells:
                self._try_later(slot.queue, replace(turn, unit=again), result.reason)
                continue
            if turn.outages:
                self._hurry()
            slot.queue.note_outcome(turn.unit, result.seconds, time_s - handed_out)

    def kill_overdue(self) -> None:
        """Kill the workers that are over their deadlines; what they had is tried again."""
        time_s = self._clock()
        for slot in self._slots:
            if (
                slot.tickets
                and self._has_place(slot, time_s)
                and time_s >= slot.deadline(self._limits)
            ):
                reason = f"no outcome in {time_s - slot.since:.0f} s: its worker was stopped"
                self._pool.kill(slot.worker)
                turns = [turn for turn, _ in slot.tickets.values()]
                slot.tickets.clear()
                slot.dead = True
                for number, turn in enumerate(turns):
                    self._handle_loss(slot.queue, turn, reason, n_deaths=int(number == 0))
        if self._slots and time_s - self._last_start > PLACE_S:
            raise ExecutionError(
                f"no worker got a place in {PLACE_S:.0f} s: others hold what the cluster has; "
                "what was measured is kept, and the same command goes on from there"
            )

    def release_all(self) -> None:
        """Release all workers, whatever they are doing."""
        for slot in self._slots:
            self._pool.release(slot.worker, at_once=True)
        self._slots.clear()

    def _has_place(self, slot: _Slot[Worker], time_s: float) -> bool:
        """Tell whether a worker has its place; its time counts from when this was first seen."""
        if not slot.started and self._pool.has_started(slot.worker):
            slot.started, slot.since = True, time_s
        if slot.started:
            self._last_start = time_s
        return slot.started

    def _patience_s(self) -> float | None:
        time_s = self._clock()
        busy = [slot for slot in self._slots if slot.tickets]
        times = [slot.deadline(self._limits) for slot in busy if self._has_place(slot, time_s)]
        if not all(slot.started for slot in busy):
            # Look again whether they have: their time counts from then.
            times.append(time_s + START_POLL_S)
        times += [turn.due for queue in self._queues for turn in queue.waiting if turn.due > time_s]
        return first_of(times, time_s)

    def _next(self, start_s: float) -> ModelQueue | None:
        if self._pool.is_full:
            return None
        time_s = self._clock()
        fits = {q.work.name for q in self._queues if q.n_due(time_s) and self._pool.fits(q.work)}
        return next_model(self._queues, fits, start_s=start_s, time_s=time_s) if fits else None

    def _hand_out(self, slot: _Slot[Worker]) -> None:
        time_s = self._clock()
        while not slot.dead and len(slot.tickets) < IN_FLIGHT:
            if any(turn.is_suspect for turn, _ in slot.tickets.values()):
                return
            turn = slot.queue.take(time_s, n_out=len(slot.tickets))
            if turn is None:
                return
            if not slot.tickets:
                slot.since = time_s
            if turn.outages and turn.is_last:
                # Its last try would record as unreadable what is only away.
                self._stop_in_an_outage()
            ticket = self._pool.submit(slot.worker, turn.unit, last_try=turn.is_last)
            slot.tickets[ticket] = (turn, time_s)

    def _handle_loss(self, queue: ModelQueue, turn: Turn, reason: str, *, n_deaths: int) -> None:
        queue.note_deaths(n_deaths, reason)
        log.warning("lost: %s", reason, extra={"cell": str(turn.unit)})
        # A first loss may be anybody's; a unit that was lost before gets some time.
        due = self._due(turn.deaths) if turn.deaths else 0.0
        again = replace(turn, deaths=turn.deaths + 1, due=due)
        if not again.is_over(self._limits.max_tries):
            queue.waiting.append(again)
            return
        reason = f"gave up after {again.deaths} tries: {reason}"
        self._pool.record_failure(turn.unit, reason)
        self._settle_failed(turn.unit, reason)

    def _try_later(self, queue: ModelQueue, turn: Turn, reason: str | None) -> None:
        self._last_outage = reason
        self._stop_in_an_outage()
        log.warning("%s; it is tried again", reason, extra={"cell": str(turn.unit)})
        queue.deaths = 0
        outages = turn.outages + 1
        queue.waiting.append(replace(turn, outages=outages, due=self._due(outages)))

    def _stop_in_an_outage(self) -> None:
        if self._breaker.is_open(self._clock()):
            raise ExecutionError(
                f"most of what is read cannot be read, for {self._limits.patience_s / 2:.0f} s and "
                f"more; the last: {self._last_outage}. What was measured is kept, nothing is "
                "marked as failed, and the same command goes on from there"
            )

    def _hurry(self) -> None:
        """Shorten the pauses after an outage: waiting cells wait no longer than a first pause."""
        for queue in self._queues:
            for number, turn in enumerate(queue.waiting):
                if turn.outages:
                    queue.waiting[number] = replace(turn, due=min(turn.due, self._due(1)))

    def _due(self, tries: int) -> float:
        return self._clock() + self._limits.pause_s(tries, random.random())

    def _leave_broken_models(self) -> None:
        """Settle what is left of models whose workers only die.

        The store notes nothing of it: what was never tried did not fail, and the next run tries it.
        """
        for queue in [queue for queue in self._queues if queue.is_broken]:
            while queue.waiting:
                times = f"its model's workers died {queue.deaths} times in a row"
                reason = f"{times}, so it is left for now; the last: {queue.last_death}"
                self._settle_failed(queue.waiting.popleft().unit, reason)

    def _leave_the_rest(self) -> None:
        """Hand out nothing more once the run's time is over; the next run takes what is left."""
        if self._end is None or self._clock() < self._end:
            return
        for queue in self._queues:
            self._n_left += sum(len(turn.unit.cells) for turn in queue.waiting)
            queue.waiting.clear()

    def _settle_failed(self, unit: Unit, reason: str) -> None:
        for cell in unit.cells:
            self._settle(CellOutcome(cell.id, "failed", reason))

    def _settle(self, outcome: CellOutcome) -> None:
        self._outcomes.append(outcome)
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    def _release_idle(self) -> None:
        time_s = self._clock()
        others_wait = any(queue.n_due(time_s) for queue in self._queues if not queue.n_workers)
        for slot in [slot for slot in self._slots if not slot.tickets]:
            keep = slot.queue.waiting and not (others_wait and not slot.queue.n_due(time_s))
            if slot.dead or not keep:
                self._pool.release(slot.worker, at_once=slot.dead)
                slot.queue.n_workers -= 1
                self._slots.remove(slot)
