"""Progress of a run: a bar on a terminal, a plain line every tenth elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from vlmsel.cli.views.console import say, stderr
from vlmsel.cli.views.model_progress import ModelKey, ModelPace, add_plan
from vlmsel.execution.plan.units import CellOutcome, ModelUnits
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.outside_names import shown

# Lines for models at work on a terminal.
SHOWN_MODELS = 8


@dataclass
class _Worker:
    """The time of one worker between the start of its first cell and the end of its last."""

    start: float
    end: float
    busy_s: float


@dataclass
class Pace:
    """Progress of a run, its speed, and the time that it will take.

    Models differ a hundredfold in cost, so what counts is the expected work, not the cells.

    Attributes:
        cells: to be settled in all.
        done: settled.
        images: measured.
    """

    clock: Callable[[], float] = time.monotonic
    cells: int = 0
    done: int = 0
    images: int = 0
    _workers: dict[str, _Worker] = field(default_factory=dict)
    _work: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _total: float = 0.0
    _settled: float = 0.0
    _start: float | None = None
    _ends: float | None = None

    def expect(self, plan: Plan) -> None:
        """There is this plan to do as well."""
        self._start = self.clock() if self._start is None else self._start
        self.cells += plan.n_missing
        self._total += plan.seconds
        for work in plan.work:
            for kind, seconds in seconds_per_cell(work).items():
                self._work[kind, work.spec.model, work.spec.pretrained] = seconds

    def settle(self, outcome: CellOutcome) -> None:
        """One more cell is settled."""
        self.done += 1
        self.images += outcome.n_images
        if outcome.status == "measured":
            self._note_measured(outcome)
        cell = outcome.cell
        self._settled += self._work.get((cell.kind, cell.model, cell.pretrained), 0.0)
        if self.share and self._start is not None:
            self._ends = self._start + (self.clock() - self._start) / self.share

    def _note_measured(self, outcome: CellOutcome) -> None:
        end_s = self.clock()
        new = _Worker(end_s - outcome.seconds, end_s, 0.0)
        worker = self._workers.setdefault(outcome.place, new)
        worker.end = end_s
        worker.busy_s += outcome.seconds

    @property
    def images_per_s(self) -> float | None:
        """Images measured a second so far; None before anything is done."""
        passed = 0.0 if self._start is None else self.clock() - self._start
        return self.images / passed if passed and self.images else None

    @property
    def busy_share(self) -> float | None:
        """Share of the workers' time in which their accelerators compute; None at first.

        The rest is waiting for images that are still decoded, and for the next cell. A worker's
        time begins with its first computation: its start and the first decoding are not in it.
        """
        passed = sum(worker.end - worker.start for worker in self._workers.values())
        busy_s = sum(worker.busy_s for worker in self._workers.values())
        return min(1.0, busy_s / passed) if passed else None

    @property
    def share(self) -> float:
        """Expected work done, 0 to 1."""
        return min(1.0, self._settled / self._total) if self._total else 0.0

    @property
    def left_s(self) -> float | None:
        """Expected seconds left at the pace so far; None before anything is done."""
        return None if self._ends is None else max(0.0, self._ends - self.clock())


class Ticker:
    """Shows a pace and that of the models at work.

    On a terminal by a bar and a line per model, elsewhere by plain lines.
    """

    def __init__(self, bar: Progress, what: str) -> None:
        self._bar = bar
        self._pace = Pace()
        self._models: dict[ModelKey, ModelPace] = {}
        self._lines: dict[ModelKey, TaskID] = {}
        self._task = bar.add_task(shown(what), total=1.0, pace=self._pace)

    def expect(self, plan: Plan) -> None:
        """There is this plan to do as well."""
        self._pace.expect(plan)
        add_plan(self._models, plan)

    def tick(self, outcome: CellOutcome) -> None:
        """One more cell is settled."""
        tenth = self._pace.done * 10 // max(1, self._pace.cells)
        self._pace.settle(outcome)
        cell = outcome.cell
        name = f"{cell.kind} of {cell.model}/{cell.pretrained} on {cell.task}"
        self._bar.update(self._task, completed=self._pace.share, description=shown(name))
        if self._bar.disable and self._pace.done * 10 // max(1, self._pace.cells) != tenth:
            time_left = _left(self._pace) if self._pace.done < self._pace.cells else ""
            parts = (f"{self._pace.done}/{self._pace.cells} {name}", time_left, _speed(self._pace))
            say(", ".join(part for part in parts if part))
        key = (cell.model, cell.pretrained)
        if key in self._models:
            self._models[key].settle(outcome)
            self._show_model(key, self._models[key])

    def _show_model(self, key: ModelKey, model: ModelPace) -> None:
        if self._bar.disable:
            if model.is_done and len(self._models) > 1:
                say(f"{model.name}: {model.counts}")
        elif model.is_done:
            if key in self._lines:
                self._bar.remove_task(self._lines.pop(key))
        else:
            if key not in self._lines:
                if len(self._lines) >= SHOWN_MODELS:
                    return
                self._lines[key] = self._bar.add_task("", total=model.cells, pace=model)
            text = shown(f"{model.name}: {model.task}")
            self._bar.update(
                self._lines[key], completed=model.done, total=model.cells, description=text
            )


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        pace: Pace | ModelPace = task.fields["pace"]
        if isinstance(pace, ModelPace):
            return Text(pace.counts)
        return Text(f"{pace.done}/{pace.cells} cells")


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        pace: Pace | ModelPace = task.fields["pace"]
        return Text("" if isinstance(pace, ModelPace) else _left(pace))


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        pace: Pace | ModelPace = task.fields["pace"]
        return Text("" if isinstance(pace, ModelPace) else _speed(pace))


def seconds_per_cell(work: ModelUnits) -> dict[str, float]:
    """Expected seconds of a model's cells, in the mean, by kind."""
    seconds: dict[str, float] = {}
    counts: Counter[str] = Counter()
    for unit in work.units:
        for cell in unit.cells:
            kind = cell.id.kind
            counts[kind] += 1
            share = work.seconds_per_image[kind] * len(unit.shard.images)
            seconds[kind] = seconds.get(kind, 0.0) + share
    return {kind: total / counts[kind] for kind, total in seconds.items()}


def _speed(pace: Pace) -> str:
    if pace.images_per_s is None or pace.busy_share is None:
        return ""
    return f"{pace.images_per_s:.3g} images/s, {pace.busy_share:.0%} busy"


def _left(pace: Pace) -> str:
    return "" if pace.left_s is None else f"about {duration(pace.left_s)} left"


def duration(seconds: float) -> str:
    """Such as ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress_bar(what: str) -> Iterator[Ticker]:
    """Show how far the body is while it calls ``expect`` and ``tick``."""
    bar = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=20),
        _Count(),
        TimeElapsedColumn(),
        _Left(),
        _Speed(),
        # Last, since a long name is cut on a narrow terminal.
        TextColumn("{task.description}", markup=False),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )
    with bar:
        yield Ticker(bar, what)
