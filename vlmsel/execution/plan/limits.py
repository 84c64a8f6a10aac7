"""Limits of a run: deadlines and tries of cells, pauses before new tries, and its end. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from vlmsel.errors import ExecutionError
from vlmsel.store.keys import CellId

# Tries of a cell whose workers die or hang, before it is recorded as failed.
MAX_TRIES = 4
# Tries of a cell that meets input/output errors, before what could be read of it is recorded.
OUTAGE_TRIES = 6
# Each pause is so many times the one before.
GROWTH = 3.0
# Deaths of a model's workers with no outcome between them, before the rest of it is left.
MODEL_DEATHS = 5
# Cells that must fail before an outage is one of the run.
OUTAGE_CELLS = 4
# A cell may take so many times what is expected of it; estimates know the order, not the machine.
SLACK = 10.0
# What any cell may take at least.
FLOOR_S = 600.0
# Expected for reading and decoding an image, from afar.
READ_S = 0.1
# The first cell of a worker also loads the model, from afar.
LOAD_FACTOR = 3.0


@dataclass(frozen=True)
class Limits:
    """Limits of a run.

    Attributes:
        deadline_s: what a cell may take; None goes by what is expected of it, ten times that and
            ten minutes.
        patience_s: how long a fault that may pass is waited for, over all pauses of a cell.
        run_s: how long the run goes on handing out work; what is out is finished.
        max_tries: tries of a cell whose workers die or hang, before it is recorded as failed.
    """

    deadline_s: float | None = None
    patience_s: float = 300.0
    run_s: float | None = None
    max_tries: int = MAX_TRIES

    def __post_init__(self) -> None:
        values = {"deadline": self.deadline_s, "patience": self.patience_s, "run": self.run_s}
        for name, value in values.items():
            if value is not None and not 0 < value < math.inf:
                raise ExecutionError(f"{name} must be a number of seconds above 0, not {value:g}")
        if self.max_tries < 1:
            raise ExecutionError(f"max_tries must be at least 1, not {self.max_tries}")

    def cell_s(self, n_images: int, seconds_per_image: float, *, loads: bool) -> float:
        """Seconds that a worker may take for cells of `n_images` images in all."""
        factor = LOAD_FACTOR if loads else 1.0
        if self.deadline_s is not None:
            return self.deadline_s * factor
        return FLOOR_S * factor + SLACK * n_images * (seconds_per_image + READ_S)

    def pause_s(self, tries: int, jitter: float) -> float:
        """Seconds before the next try, after `tries`; the pauses of a cell add up to `patience_s`.

        Args:
            tries: so far, from 1.
            jitter: from 0 to 1; cells that failed together do not come back together.
        """
        first = self.patience_s * (GROWTH - 1) / (GROWTH ** (OUTAGE_TRIES - 1) - 1)
        return first * GROWTH ** (tries - 1) * (0.5 + jitter)


@dataclass
class OutageBreaker:
    """Tells an outage of everything from cells that cannot be read.

    It opens when, for half of the run's patience, more than half of the cells that were tried since
    the trouble began could not be read, four at least.
    """

    limits: Limits
    _since: float = 0.0
    _unread: set[CellId] = field(default_factory=set)
    _read: set[CellId] = field(default_factory=set)

    def note(self, cell: CellId, time_s: float, *, is_read: bool) -> None:
        """Learn how a try ended."""
        if is_read:
            self._unread.discard(cell)
            self._read.add(cell)
            return
        if not self._unread:
            self._since = time_s
            self._read.clear()
        self._unread.add(cell)

    def is_open(self, time_s: float) -> bool:
        """Tell whether going on would only fail what could be measured later."""
        n_unread = len(self._unread)
        return (
            n_unread >= OUTAGE_CELLS
            and n_unread > len(self._read)
            and time_s - self._since >= self.limits.patience_s / 2
        )


def first_of(times: Sequence[float], time_s: float) -> float | None:
    """Seconds from `time_s` to the first of some times, 0 if it has passed; None for none."""
    return max(0.0, min(times) - time_s) if times else None
