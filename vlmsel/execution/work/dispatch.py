"""Choice of the next unit and of the next worker's model.

Queues of units by model, bounded tries, and when one more worker pays. Pure bookkeeping.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from vlmsel.execution.plan.limits import MODEL_DEATHS, OUTAGE_TRIES
from vlmsel.execution.plan.units import ModelUnits, Unit

# A worker computes one unit and decodes the next; more would only hold memory.
IN_FLIGHT = 2
# What a further worker of a model costs before it helps: start, import of torch, load of the
# checkpoint.
START_S = 5.0


@dataclass(frozen=True)
class Turn:
    """A unit that waits for a try.

    Attributes:
        deaths: tries that ended with the death of its worker, or at its deadline.
        outages: tries that ended with a fault that may pass.
        due: when it may be tried again.
    """

    unit: Unit
    deaths: int = 0
    outages: int = 0
    due: float = 0.0

    @property
    def is_last(self) -> bool:
        """True if a fault that may pass is to be recorded this time."""
        return self.outages + 1 >= OUTAGE_TRIES

    @property
    def is_suspect(self) -> bool:
        """True if it may have killed a worker: it is tried alone, so that no other is blamed."""
        return self.deaths > 0

    def is_over(self, max_tries: int) -> bool:
        """Tell whether it has had all its tries: so many deaths, or `OUTAGE_TRIES` outages."""
        return self.deaths >= max_tries or self.outages >= OUTAGE_TRIES


@dataclass
class ModelQueue:
    """The units of one model that nobody works on.

    Attributes:
        waiting: next one first.
        n_workers: workers of this model now.
        busy_s: measured seconds of its finished units.
        n_done: finished units.
        deaths: of its workers, since its last outcome.
        last_death: how the last of them came.
        image_s: the longest that one of its units took, by image, from hand-out to outcome; at
            least what is expected.
    """

    work: ModelUnits
    waiting: deque[Turn] = field(init=False)
    n_workers: int = 0
    busy_s: float = 0.0
    n_done: int = 0
    deaths: int = 0
    last_death: str = ""
    image_s: float = 0.0

    def __post_init__(self) -> None:
        self.waiting = deque(Turn(unit) for unit in self.work.units)
        self.image_s = sum(self.work.seconds_per_image.values())

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

    @property
    def is_broken(self) -> bool:
        """True if its workers die one after the other, whatever the cell."""
        return self.deaths >= MODEL_DEATHS

    def n_due(self, time_s: float) -> int:
        """Count the units that may be tried at this time."""
        return sum(turn.due <= time_s for turn in self.waiting)

    def take(self, time_s: float, *, n_out: int) -> Turn | None:
        """The next unit for a worker that has `n_out` others; None where there is none for it."""
        for turn in self.waiting:
            if turn.due <= time_s and not (turn.is_suspect and n_out):
                self.waiting.remove(turn)
                return turn
        return None

    def note_deaths(self, n_deaths: int, reason: str) -> None:
        """Learn of dead workers."""
        self.deaths += n_deaths
        self.last_death = reason

    def note_outcome(self, unit: Unit, seconds: float, wall_s: float) -> None:
        """Learn from one outcome."""
        image_s = wall_s / max(1, len(unit.shard.images))
        # Never below what was expected: a cheap first unit says nothing of a dear second one.
        self.image_s = max(self.image_s, image_s)
        self.busy_s += seconds
        self.n_done += 1
        self.deaths = 0


def next_model(
    queues: Iterable[ModelQueue], fits: set[str], *, start_s: float = START_S, time_s: float = 0.0
) -> ModelQueue | None:
    """The model that gets the next worker, or None.

    Every model gets its first worker before any gets a second, in the order of the plan (longest
    first): a checkpoint is loaded as seldom as possible. Room that is left goes where most work
    waits per worker, if that is worth a start.

    Args:
        queues: in the order of the plan.
        fits: names of models that have a place now.
        start_s: seconds before a further worker helps.
        time_s: units that are due later do not count.
    """
    waiting = [queue for queue in queues if queue.n_due(time_s)]
    new = [queue for queue in waiting if queue.n_workers == 0]
    if new:
        return next((queue for queue in new if queue.work.name in fits), None)
    # Two in flight per worker, or the newcomer would take what the first is about to begin.
    worth = [
        queue
        for queue in waiting
        if queue.work.name in fits
        and queue.n_due(time_s) > IN_FLIGHT
        and queue.remaining_s / (queue.n_workers + 1) >= start_s
    ]
    return max(worth, key=lambda queue: queue.remaining_s / queue.n_workers, default=None)
