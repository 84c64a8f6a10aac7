"""The one work loop.

A crew gives it workers, here or on Ray; it hands out units and settles every cell once. It waits
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
from vlmsel.execution.plan.units import CellOutcome, ModelWork, Unit, UnitOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.work.dispatch import IN_FLIGHT, START_S, ModelQueue, Turn, next_model
from vlmsel.execution.work.run_summary import RunSummary

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

    def has_started(self, worker: Worker) -> bool:
        """Whether a worker has its place and works: from then on its time counts."""
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
        """Let a worker go; `at_once` where it is dead or what it does is not wanted any more."""
        ...

    def record_failure(self, unit: Unit, reason: str) -> None:
        """Write down a failure that no worker lived to write."""
        ...


@dataclass
class _Post(Generic[Worker]):
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
        """When it must have given its next outcome."""
        n_images = sum(len(turn.unit.shard.images) for turn, _ in self.tickets.values())
        return self.since + limits.cell_s(n_images, self.queue.image_s, loads=not self.n_done)


def work_loop(
    plan: Plan,
    crew: Crew[Worker],
    on_outcome: OnOutcome | None = None,
    *,
    start_s: float = START_S,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RunSummary:
    """Do all of a plan with a crew.

    Args:
        plan: what to do.
        crew: who does it.
        on_outcome: called with every settled cell, in the driver.
        start_s: what one more worker of a model must be worth, in seconds.
        limits: how long to wait for cells, and for faults that may pass.
        clock: seconds.
        sleep: waits so many seconds.

    Returns:
        What happened; every cell of the plan is in it once, or counted as left for a next run.

    Raises:
        StoreError: results cannot be written; what was measured before is in the store.
        ExecutionError: most of what is read cannot be read, or no worker gets a place.
    """
    queues = [ModelQueue(work) for work in plan.work]
    loop = _Loop(queues, crew, on_outcome, limits or Limits(), clock)
    try:
        while loop.hire_and_hand_out(start_s):
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
        crew: Crew[Worker],
        on_outcome: OnOutcome | None,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._outcomes: list[CellOutcome] = []
        self._queues = queues
        self._crew = crew
        self._on_outcome = on_outcome
        self._limits = limits
        self._clock = clock
        self._breaker = OutageBreaker(limits)
        self._last_outage: str | None = None
        self._posts: list[_Post[Worker]] = []
        self._last_start = clock()
        self._end = None if self._limits.run_s is None else clock() + self._limits.run_s
        self._n_left = 0

    def summary(self) -> RunSummary:
        """What was settled so far."""
        return replace(RunSummary.of(self._outcomes), n_left=self._n_left)

    @property
    def n_out(self) -> int:
        """Calls that are out."""
        return sum(len(post.tickets) for post in self._posts)

    def idle_s(self) -> float:
        """Seconds until the first unit that waits is due."""
        due = [turn.due for queue in self._queues for turn in queue.waiting]
        return first_of(due, self._clock()) or 0.0

    def hire_and_hand_out(self, start_s: float) -> bool:
        """Fill the room and the hands; False when nothing is out or waits any more."""
        self._leave_broken_models()
        self._leave_the_rest()
        self._release_idle()
        while (queue := self._next(start_s)) is not None:
            worker = self._crew.hire(queue.work)
            queue.n_workers += 1
            self._posts.append(_Post(worker, queue, since=self._clock()))
            self._hand_out(self._posts[-1])
        for post in self._posts:
            self._hand_out(post)
        return bool(self.n_out) or any(queue.waiting for queue in self._queues)

    def settle_some(self) -> None:
        """Wait for outcomes, or until something is due, and settle them."""
        owner = {ticket: post for post in self._posts for ticket in post.tickets}
        for ticket, result in self._crew.wait(list(owner), self._patience_s()):
            post = owner[ticket]
            turn, handed_out = post.tickets.pop(ticket)
            if isinstance(result, Lost):
                post.dead = post.dead or result.worker_is_dead
                # Two calls of one worker are lost in one death.
                n_deaths = int(result.worker_is_dead and not post.tickets)
                self._lost(post.queue, turn, result.reason, n_deaths=n_deaths)
                continue
            now = self._clock()
            again = turn.unit.only(one.cell for one in result.outcomes if one.transient)
            post.since, post.n_done = now, post.n_done + (not again.cells)
            for outcome in result.outcomes:
                self._breaker.note(outcome.cell, now, is_read=not outcome.transient)
                if not outcome.transient:
                    self._settle(outcome)
            if again.cells:
                self._try_later(post.queue, replace(turn, unit=again), result.reason)
                continue
            if turn.outages:
                self._hurry()
            post.queue.finished(turn.unit, result.seconds, now - handed_out)

    def kill_overdue(self) -> None:
        """Kill the workers that are over their deadlines; what they had is tried again."""
        now = self._clock()
        for post in self._posts:
            if post.tickets and self._works(post, now) and now >= post.deadline(self._limits):
                reason = f"no outcome in {now - post.since:.0f} s: its worker was stopped"
                self._crew.kill(post.worker)
                turns = [turn for turn, _ in post.tickets.values()]
                post.tickets.clear()
                post.dead = True
                for number, turn in enumerate(turns):
                    self._lost(post.queue, turn, reason, n_deaths=int(number == 0))
        if self._posts and now - self._last_start > PLACE_S:
            raise ExecutionError(
                f"no worker got a place in {PLACE_S:.0f} s: others hold what the cluster has; "
                "what was measured is kept, and the same command goes on from there"
            )

    def release_all(self) -> None:
        """Let everyone go, whatever they are doing."""
        for post in self._posts:
            self._crew.release(post.worker, at_once=True)
        self._posts.clear()

    def _works(self, post: _Post[Worker], now: float) -> bool:
        """Whether a worker has its place; its time counts from when this was first seen."""
        if not post.started and self._crew.has_started(post.worker):
            post.started, post.since = True, now
        if post.started:
            self._last_start = now
        return post.started

    def _patience_s(self) -> float | None:
        now = self._clock()
        busy = [post for post in self._posts if post.tickets]
        times = [post.deadline(self._limits) for post in busy if self._works(post, now)]
        if not all(post.started for post in busy):
            # Look again whether they have: their time counts from then.
            times.append(now + START_POLL_S)
        times += [turn.due for queue in self._queues for turn in queue.waiting if turn.due > now]
        return first_of(times, now)

    def _next(self, start_s: float) -> ModelQueue | None:
        if self._crew.is_full:
            return None
        now = self._clock()
        fits = {q.work.name for q in self._queues if q.n_due(now) and self._crew.fits(q.work)}
        return next_model(self._queues, fits, start_s=start_s, now=now) if fits else None

    def _hand_out(self, post: _Post[Worker]) -> None:
        now = self._clock()
        while not post.dead and len(post.tickets) < IN_FLIGHT:
            if any(turn.is_suspect for turn, _ in post.tickets.values()):
                return
            turn = post.queue.take(now, n_out=len(post.tickets))
            if turn is None:
                return
            if not post.tickets:
                post.since = now
            if turn.outages and turn.is_last:
                # Its last try would record as unreadable what is only away.
                self._stop_in_an_outage()
            ticket = self._crew.submit(post.worker, turn.unit, last_try=turn.is_last)
            post.tickets[ticket] = (turn, now)

    def _lost(self, queue: ModelQueue, turn: Turn, reason: str, *, n_deaths: int) -> None:
        queue.died(n_deaths, reason)
        log.warning("lost: %s", reason, extra={"cell": str(turn.unit)})
        # A first loss may be anybody's; a unit that was lost before gets some time.
        due = self._due(turn.deaths) if turn.deaths else 0.0
        again = replace(turn, deaths=turn.deaths + 1, due=due)
        if not again.is_over:
            queue.waiting.append(again)
            return
        reason = f"gave up after {again.deaths} tries: {reason}"
        self._crew.record_failure(turn.unit, reason)
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
        """What was away is back: the cells that wait for it wait no longer than a first pause."""
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
        now = self._clock()
        others_wait = any(queue.n_due(now) for queue in self._queues if not queue.n_workers)
        for post in [post for post in self._posts if not post.tickets]:
            keep = post.queue.waiting and not (others_wait and not post.queue.n_due(now))
            if post.dead or not keep:
                self._crew.release(post.worker, at_once=post.dead)
                post.queue.n_workers -= 1
                self._posts.remove(post)
