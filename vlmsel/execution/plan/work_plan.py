"""The cells that are left to measure, in order.

Pure: values in, values out; no store, no torch, no cluster.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from vlmsel.collector import pause_collector
from vlmsel.evidence.catalog_contents import Candidate
from vlmsel.evidence.failure import Failure
from vlmsel.evidence.wanted_cells import WantedShard
from vlmsel.execution.plan.units import Cell, Job, ModelUnits, Unit
from vlmsel.store.keys import CellId
from vlmsel.tasks.outages import is_unavailable

Seconds = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Known:
    """Measured and failed cells of a store.

    Whole ids, not keys alone: two tasks may hold the same images, and each has its own cells.

    Attributes:
        measured: measured cells; they are not measured again.
        failed: failed cells with the reason; they are left alone unless `retry_failed`.
        failed_images: (image_id, reason) of images that failed in measured cells, likewise.
    """

    measured: Set[CellId] = frozenset()
    failed: Mapping[CellId, str] = field(default_factory=lambda: MappingProxyType({}))
    failed_images: Mapping[CellId, tuple[tuple[str, str], ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    retry_failed: bool = False

    def is_tried_again(self, cell: CellId) -> bool:
        """Tell whether images failed in a measured cell and a new try may do better."""
        images = self.failed_images.get(cell, ())
        return bool(images) and (
            self.retry_failed or any(is_unavailable(reason) for _, reason in images)
        )


@dataclass(frozen=True, slots=True)
class ModelTally:
    """Progress of one model.

    Counts of cells, and the seconds that its missing ones are expected to take.
    """

    model: str
    pretrained: str
    n_tasks: int
    n_missing: int
    n_measured: int
    n_failed_before: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Work of a run, longest expected work first, every model once.

    Attributes:
        job: what is measured.
        work: models with something to do.
        tallies: every model of the zoo, in zoo order.
        wanted: every cell that was asked for, measured or not.
        faults: models and tasks that could not be planned, with the reason.
        earlier: cells and images that failed in an earlier run and are left alone.
        images: by task, how many images are used and how many there are.
        passed_over: by task, what lies beside its images and is not read; no failure.
        guessed: models whose cost is a guess from their size: none like it was timed yet.
    """

    job: Job
    work: tuple[ModelUnits, ...]
    tallies: tuple[ModelTally, ...]
    wanted: frozenset[CellId]
    faults: tuple[Failure, ...] = ()
    earlier: tuple[Failure, ...] = ()
    images: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    guessed: frozenset[str] = frozenset()
    passed_over: tuple[Failure, ...] = ()

    @property
    def n_missing(self) -> int:
        """Cells to measure."""
        return sum(tally.n_missing for tally in self.tallies)

    @property
    def n_units(self) -> int:
        """Units to do: more workers than that would be idle."""
        return sum(len(work.units) for work in self.work)

    @property
    def n_measured(self) -> int:
        """Cells that are in the store."""
        return sum(tally.n_measured for tally in self.tallies)

    @property
    def n_failed_before(self) -> int:
        """Cells that failed before and are left alone."""
        return sum(tally.n_failed_before for tally in self.tallies)

    @property
    def seconds(self) -> float:
        """Expected seconds of one worker for all of it."""
        return sum(tally.seconds for tally in self.tallies)


@pause_collector()
def plan_cells(
    models: Sequence[Candidate],
    shards: Sequence[WantedShard],
    job: Job,
    *,
    known: Known,
    seconds_per_image: Seconds,
    faults: tuple[Failure, ...] = (),
) -> Plan:
    """Sort every wanted cell into measured, failed before, and to do.

    A checkpoint is loaded once: its units stay together. Models with the longest expected work
    come first, since the last one to finish decides when the run ends; ties go by name, so that two
    drivers make the same plan.

    Args:
        models: specs with their identities, in zoo order.
        shards: in task order, with all that is asked of them.
        job: what to measure.
        known: what the store holds.
        seconds_per_image: expected cost by model name and kind.
        faults: what could not be planned.
    """
    wanted: list[CellId] = []
    work: list[ModelUnits] = []
    tallies: list[ModelTally] = []
    n_tasks = len({wanted_shard.shard.task for wanted_shard in shards})
    for model in models:
        spec, identity = model
        units, ids, n_measured, n_failed = _sort_cells(model, shards, known)
        wanted.extend(ids)
        todo = ModelUnits(spec, identity, tuple(units), seconds_per_image[spec.name])
        counts = (sum(len(unit.cells) for unit in units), n_measured, n_failed)
        tallies.append(ModelTally(spec.model, spec.pretrained, n_tasks, *counts, todo.seconds))
        if units:
            work.append(todo)
    earlier = () if known.retry_failed else _earlier_failures(wanted, known)
    work.sort(key=lambda todo: (-todo.seconds, todo.name))
    return Plan(job, tuple(work), tuple(tallies), frozenset(wanted), faults, earlier)


def _sort_cells(
    model: Candidate, shards: Sequence[WantedShard], known: Known
) -> tuple[list[Unit], list[CellId], int, int]:
    """Units to do, all ids, and how many cells are measured and left as failed."""
    units: list[Unit] = []
    ids: list[CellId] = []
    n_measured = n_failed = 0
    for wanted in shards:
        missing: list[Cell] = []
        for cell in wanted.cells(model):
            ids.append(cell)
            again = known.is_tried_again(cell)
            if cell in known.measured and not again:
                n_measured += 1
            elif cell in known.failed and not known.retry_failed:
                n_failed += 1
            else:
                missing.append(Cell(cell, again=cell in known.measured))
        if missing:
            units.append(Unit(wanted.shard, tuple(missing)))
    return units, ids, n_measured, n_failed


def _earlier_failures(wanted: Iterable[CellId], known: Known) -> tuple[Failure, ...]:
    """List wanted cells that failed in earlier runs, and failed images of measured cells."""
    found: list[Failure] = []
    for cell in wanted:
        where = (cell.model, cell.pretrained, cell.task)
        if cell in known.measured:
            images = () if known.is_tried_again(cell) else known.failed_images.get(cell, ())
            found += [Failure(*where, image_id, reason, cell.kind) for image_id, reason in images]
        elif cell in known.failed:
            found.append(Failure(*where, None, known.failed[cell], cell.kind))
    return tuple(found)


def describe_plan(plan: Plan) -> pl.DataFrame:
    """The plan as a table for `--dry-run`, longest work first: one row per model.

    Columns: model, pretrained, tasks, to_measure, measured, failed_before (cells) and
        estimated_s (seconds of one worker).
    """
    rows = [
        (t.model, t.pretrained, t.n_tasks, t.n_missing, t.n_measured, t.n_failed_before, t.seconds)
        for t in plan.tallies
    ]
    schema = {
        "model": pl.String,
        "pretrained": pl.String,
        "tasks": pl.Int64,
        "to_measure": pl.Int64,
        "measured": pl.Int64,
        "failed_before": pl.Int64,
        "estimated_s": pl.Float64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.sort("estimated_s", "model", "pretrained", descending=[True, False, False])
