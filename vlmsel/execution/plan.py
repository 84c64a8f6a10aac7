"""What is left to measure, and in which order.

Pure: values in, values out; no store, no torch, no cluster.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from vlmsel.execution.cells import Cell, Failure, Job, ModelWork
from vlmsel.store.keys import CellId
from vlmsel.tasks.outages import is_unavailable
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

Candidate = tuple[ModelSpec, ModelIdentity]


@dataclass(frozen=True, slots=True)
class Known:
    """What a store says about cells.

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
        """Whether images failed in a measured cell and a new try may do better."""
        images = self.failed_images.get(cell, ())
        return bool(images) and (
            self.retry_failed or any(is_unavailable(reason) for _, reason in images)
        )


@dataclass(frozen=True, slots=True)
class ModelTally:
    """How far one model is.

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
    """What to do, longest expected work first, every model once.

    Attributes:
        job: what is measured.
        work: models with something to do.
        tallies: every model of the zoo, in zoo order.
        wanted: every cell that was asked for, measured or not.
        faults: models and tasks that could not be planned, with the reason.
        earlier: cells and images that failed in an earlier run and are left alone.
        images: by task, how many images are used and how many there are.
    """

    job: Job
    work: tuple[ModelWork, ...]
    tallies: tuple[ModelTally, ...]
    wanted: frozenset[CellId]
    faults: tuple[Failure, ...] = ()
    earlier: tuple[Failure, ...] = ()
    images: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def n_missing(self) -> int:
        """Cells to measure."""
        return sum(tally.n_missing for tally in self.tallies)

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


def plan_cells(
    models: Sequence[Candidate],
    shards: Mapping[str, tuple[Shard, ...]],
    job: Job,
    *,
    known: Known,
    seconds_per_image: Mapping[str, float],
    faults: tuple[Failure, ...] = (),
) -> Plan:
    """Sort every (model, shard) into measured, failed before, and to do.

    A checkpoint is loaded once: its cells stay together. Models with the longest expected work
    come first, since the last one to finish decides when the run ends; ties go by name, so that two
    drivers make the same plan.

    Args:
        models: specs with their identities, in zoo order.
        shards: by task, in task order.
        job: what to measure.
        known: what the store holds.
        seconds_per_image: expected cost by model name.
        faults: what could not be planned.
    """
    wanted: list[CellId] = []
    work: list[ModelWork] = []
    tallies: list[ModelTally] = []
    flat = [(task, shard) for task, those in shards.items() for shard in those]
    for spec, identity in models:
        missing, ids, n_measured, n_failed = _sort_cells(spec, identity, flat, job, known)
        wanted.extend(ids)
        todo = ModelWork(spec, identity, tuple(missing), seconds_per_image[spec.name])
        counts = (len(missing), n_measured, n_failed)
        tallies.append(ModelTally(spec.model, spec.pretrained, len(shards), *counts, todo.seconds))
        if missing:
            work.append(todo)
    earlier = () if known.retry_failed else _earlier(wanted, known)
    work.sort(key=lambda todo: (-todo.seconds, todo.name))
    return Plan(job, tuple(work), tuple(tallies), frozenset(wanted), faults, earlier)


def _sort_cells(
    spec: ModelSpec,
    identity: ModelIdentity,
    shards: list[tuple[str, Shard]],
    job: Job,
    known: Known,
) -> tuple[list[Cell], list[CellId], int, int]:
    """Cells to measure, all ids, and how many are measured and left as failed."""
    digest, settings = identity.digest, job.digest
    missing: list[Cell] = []
    ids: list[CellId] = []
    n_measured = n_failed = 0
    for task, shard in shards:
        cell = CellId(spec.model, spec.pretrained, task, job.key(digest, shard), settings)
        ids.append(cell)
        again = known.is_tried_again(cell)
        if cell in known.measured and not again:
            n_measured += 1
        elif cell in known.failed and not known.retry_failed:
            n_failed += 1
        else:
            missing.append(Cell(cell, shard, again=cell in known.measured))
    return missing, ids, n_measured, n_failed


def _earlier(wanted: Iterable[CellId], known: Known) -> tuple[Failure, ...]:
    """What failed of the wanted cells in earlier runs: whole cells, and images in measured ones."""
    found: list[Failure] = []
    for cell in wanted:
        where = (cell.model, cell.pretrained, cell.task)
        if cell in known.measured:
            images = () if known.is_tried_again(cell) else known.failed_images.get(cell, ())
            found += [Failure(*where, image_id, reason) for image_id, reason in images]
        elif cell in known.failed:
            found.append(Failure(*where, None, known.failed[cell]))
    return tuple(found)


def describe_plan(plan: Plan) -> pl.DataFrame:
    """The plan as a table for `--dry-run`, longest work first: one row a model.

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
