"""The one work loop.

An executor gives it workers, here or on Ray; it hands out units and settles every cell once.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from vlmsel.execution.cells import CellOutcome, ModelWork, Unit, UnitOutcome
from vlmsel.execution.dispatch import IN_FLIGHT, MAX_TRIES, START_S, ModelQueue, next_model
from vlmsel.execution.plan import Plan
from vlmsel.execution.summary import RunSummary

log = logging.getLogger(__name__)

Worker = TypeVar("Worker")
OnOutcome = Callable[[CellOutcome], None]


@dataclass(frozen=True)
class Lost:
    """A worker died, or its call did, before an outcome came back."""

    reason: str
    worker_is_dead: bool = True


class Crew(Protocol[Worker]):
    """What an executor must offer."""

    @property
    def is_full(self) -> bool:
        """Whether no worker of any model has room: the usual state, so that asking is cheap."""
        ...

    def fits(self, work: ModelWork) -> bool:
        """Whether there is room for one more worker of this model."""
        ...

    def hire(self, work: ModelWork) -> Worker:
        """A worker of this model."""
        ...

    def submit(self, worker: Worker, unit: Unit, *, last_try: bool) -> object:
        """Start one unit; returns a hashable ticket."""
        ...

    def wait(self, tickets: Sequence[object]) -> list[tuple[object, UnitOutcome | Lost]]:
        """Block until at least one ticket is done.

        Raises StoreError when results cannot be written.
        """
        ...

    def release(self, worker: Worker, *, at_once: bool) -> None:
        """Let a worker go; `at_once` where it is dead or what it does is not wanted any more."""
        ...

    def record_failure(self, unit: Unit, reason: str) -> None:
        """Write down a failure that no worker lived to write."""
        ...


@dataclass
class _Post(Generic[Worker]):
    """One worker and its calls that are out."""

    worker: Worker
    queue: ModelQueue
    tickets: dict[object, tuple[Unit, int]] = field(default_factory=dict)
    dead: bool = False


def work_loop(
    plan: Plan, crew: Crew[Worker], on_outcome: OnOutcome | None = None, *, start_s: float = START_S
) -> RunSummary:
    """Do all of a plan with a crew.

    Args:
        plan: what to do.
        crew: who does it.
        on_outcome: called with every settled cell, in the driver.
        start_s: what one more worker of a model must be worth, in seconds.

    Returns:
        What happened; every cell of the plan is in it once.

    Raises:
        StoreError: results cannot be written; what was measured before is in the store.
    """
    loop = _Loop([ModelQueue(work) for work in plan.work], crew, on_outcome)
    try:
        while loop.hire_and_hand_out(start_s):
            loop.settle_some()
    finally:
        loop.release_all()
    return loop.summary()


class _Loop(Generic[Worker]):
    def __init__(
        self, queues: list[ModelQueue], crew: Crew[Worker], on_outcome: OnOutcome | None
    ) -> None:
        self._outcomes: list[CellOutcome] = []
        self._queues = queues
        self._crew = crew
        self._on_outcome = on_outcome
        self._posts: list[_Post[Worker]] = []

    def summary(self) -> RunSummary:
        """What was settled so far."""
        return RunSummary.of(self._outcomes)

    def hire_and_hand_out(self, start_s: float) -> bool:
        """Fill the room and the hands; False when nothing is out any more."""
        self._release_idle()
        while (queue := self._next(start_s)) is not None:
            worker = self._crew.hire(queue.work)
            queue.n_workers += 1
            self._posts.append(_Post(worker, queue))
            self._hand_out(self._posts[-1])
        for post in self._posts:
            self._hand_out(post)
        return any(post.tickets for post in self._posts)

    def settle_some(self) -> None:
        """Wait for outcomes and settle them."""
        owner = {ticket: post for post in self._posts for ticket in post.tickets}
        for ticket, result in self._crew.wait(list(owner)):
            post = owner[ticket]
            unit, tries = post.tickets.pop(ticket)
            if isinstance(result, Lost):
                self._lost(post, unit, tries + 1, result)
                continue
            again = unit.only(outcome.cell for outcome in result.outcomes if outcome.transient)
            if again.cells and post.queue.requeue(again, tries + 1):
                log.warning("%s; it is tried again", result.reason, extra={"cell": str(again)})
            else:
                post.queue.finished(result.seconds)
                again = unit.only(())
            for outcome in result.outcomes:
                if not (outcome.transient and again.cells):
                    self._settle(outcome)

    def release_all(self) -> None:
        """Let everyone go, whatever they are doing."""
        for post in self._posts:
            self._crew.release(post.worker, at_once=True)
        self._posts.clear()

    def _next(self, start_s: float) -> ModelQueue | None:
        if self._crew.is_full:
            return None
        fits = {q.work.name for q in self._queues if q.waiting and self._crew.fits(q.work)}
        return next_model(self._queues, fits, start_s=start_s) if fits else None

    def _hand_out(self, post: _Post[Worker]) -> None:
        while not post.dead and post.queue.waiting and len(post.tickets) < IN_FLIGHT:
            unit, tries = post.queue.waiting.popleft()
            last = tries + 1 >= MAX_TRIES
            ticket = self._crew.submit(post.worker, unit, last_try=last)
            post.tickets[ticket] = (unit, tries)

    def _lost(self, post: _Post[Worker], unit: Unit, tries: int, lost: Lost) -> None:
        post.dead = post.dead or lost.worker_is_dead
        log.warning("lost: %s", lost.reason, extra={"cell": str(unit)})
        if not post.queue.requeue(unit, tries):
            reason = f"gave up after {tries} tries: {lost.reason}"
            self._crew.record_failure(unit, reason)
            for cell in unit.cells:
                self._settle(CellOutcome(cell.id, "failed", reason))

    def _settle(self, outcome: CellOutcome) -> None:
        self._outcomes.append(outcome)
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    def _release_idle(self) -> None:
        for post in [p for p in self._posts if not p.tickets and (p.dead or not p.queue.waiting)]:
            self._crew.release(post.worker, at_once=post.dead)
            post.queue.n_workers -= 1
            self._posts.remove(post)
