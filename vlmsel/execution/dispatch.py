"""Who does what next.

Queues of units by model, bounded retries, and when one more worker pays. Pure bookkeeping.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from vlmsel.execution.cells import ModelWork, Unit

# A worker computes one unit and decodes the next; more would only hold memory.
IN_FLIGHT = 2
# Tries of one unit before it is recorded as failed: lost workers and passing errors both count.
MAX_TRIES = 4
# What a further worker of a model costs before it helps: start, import of torch, load of the
# checkpoint.
START_S = 5.0


@dataclass
class ModelQueue:
    """The units of one model that nobody works on.

    Attributes:
        waiting: (unit, tries so far), next one first.
        n_workers: workers of this model now.
        busy_s: measured seconds of its finished units.
        n_done: finished units.
    """

    work: ModelWork
    waiting: deque[tuple[Unit, int]] = field(init=False)
    n_workers: int = 0
    busy_s: float = 0.0
    n_done: int = 0

    def __post_init__(self) -> None:
        self.waiting = deque((unit, 0) for unit in self.work.units)

    @property
    def seconds_per_unit(self) -> float:
        """Measured where something was measured, else expected."""
        if self.n_done:
            return self.busy_s / self.n_done
        return self.work.seconds / len(self.work.units)

    @property
    def remaining_s(self) -> float:
        """Seconds of one worker for what waits."""
        return self.seconds_per_unit * len(self.waiting)

    def finished(self, seconds: float) -> None:
        """Learn from one measured unit."""
        self.busy_s += seconds
        self.n_done += 1

    def requeue(self, unit: Unit, tries: int) -> bool:
        """Put a cell back after `tries` tries; False when it has had them all."""
        if tries >= MAX_TRIES:
            return False
        self.waiting.append((unit, tries))
        return True


def next_model(
    queues: Iterable[ModelQueue], fits: set[str], *, start_s: float = START_S
) -> ModelQueue | None:
    """The model that gets the next worker, or None.

    Every model gets its first worker before any gets a second, in the order of the plan (longest
    first): a checkpoint is loaded as seldom as possible. Room that is left goes where most work
    waits per worker, if that is worth a start.

    Args:
        queues: in the order of the plan.
        fits: names of models that have a place now.
        start_s: seconds before a further worker helps.
    """
    waiting = [queue for queue in queues if queue.waiting]
    new = [queue for queue in waiting if queue.n_workers == 0]
    if new:
        return next((queue for queue in new if queue.work.name in fits), None)
    # Two in flight per worker, or the newcomer would take what the first is about to begin.
    worth = [
        queue
        for queue in waiting
        if queue.work.name in fits
        and len(queue.waiting) > IN_FLIGHT
        and queue.remaining_s / (queue.n_workers + 1) >= start_s
    ]
    return max(worth, key=lambda queue: queue.remaining_s / queue.n_workers, default=None)
