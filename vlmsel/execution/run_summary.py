"""Summary of a run. Summaries of parts add up to that of the whole, in any order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

import polars as pl

from vlmsel.evidence.failure import Failure
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.store.keys import CellId

KindModelTask = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one kind, model and task; seconds are compute."""

    measured: int = 0
    skipped: int = 0
    failed: int = 0
    n_images: int = 0
    failed_images: int = 0
    n_decoded: int = 0
    seconds: float = 0.0

    def __add__(self, other: Self) -> "Tally":
        return Tally(
            self.measured + other.measured,
            self.skipped + other.skipped,
            self.failed + other.failed,
            self.n_images + other.n_images,
            self.failed_images + other.failed_images,
            self.n_decoded + other.n_decoded,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class RunSummary:
    """Outcomes of a run, added up.

    Attributes:
        tallies: counts by (kind, model, pretrained, task).
        failures: every failed cell and image with its reason.
        faults: models and tasks of the catalogs that could not be used at all.
        already_measured: cells that were in the store before the run and were not touched.
        earlier: cells and images that failed in an earlier run and were left alone.
        inexact: images measured by this run with a large completeness error; no failures.
        passed_over: by task, what lies beside its images and is not read; no failures.
        n_left: cells that were not begun, since the run's time was over; no failures either.
    """

    tallies: Mapping[KindModelTask, Tally] = field(default_factory=lambda: MappingProxyType({}))
    failures: tuple[Failure, ...] = ()
    faults: tuple[Failure, ...] = ()
    already_measured: int = 0
    earlier: tuple[Failure, ...] = ()
    inexact: tuple[Failure, ...] = ()
    passed_over: tuple[Failure, ...] = ()
    n_left: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[CellOutcome]) -> Self:
        """The summary of some cells."""
        tallies: dict[KindModelTask, Tally] = {}
        failures: list[Failure] = []
        inexact: list[Failure] = []
        for outcome in outcomes:
            where = _kind_model_task(outcome.cell)
            tallies[where] = tallies.get(where, Tally()) + _tally(outcome)
            failures.extend(_failures(outcome))
            for image_id, error in outcome.inexact:
                reason = f"completeness error {error:.2f}"
                inexact.append(Failure(*where[1:], image_id, reason, outcome.cell.kind))
        return cls(MappingProxyType(tallies), tuple(failures), inexact=tuple(inexact))

    def __add__(self, other: Self) -> "RunSummary":
        tallies = dict(self.tallies)
        for where, tally in other.tallies.items():
            tallies[where] = tallies[where] + tally if where in tallies else tally
        return RunSummary(
            MappingProxyType(tallies),
            self.failures + other.failures,
            # Parts meet the same broken model: it is one fault.
            tuple(dict.fromkeys(self.faults + other.faults)),
            self.already_measured + other.already_measured,
            self.earlier + other.earlier,
            self.inexact + other.inexact,
            tuple(dict.fromkeys(self.passed_over + other.passed_over)),
            self.n_left + other.n_left,
        )

    @property
    def total(self) -> Tally:
        """Counts over all models and tasks."""
        return sum(self.tallies.values(), Tally())

    @property
    def measured(self) -> int:
        """Cells measured by this run."""
        return self.total.measured

    @property
    def skipped(self) -> int:
        """Cells that were there already, before the run or by another driver meanwhile."""
        return self.total.skipped + self.already_measured

    @property
    def n_failures(self) -> int:
        """All that failed of what was asked for, now or before: a rerun gives the same number."""
        return len(self.failures) + len(self.faults) + len(self.earlier)

    @property
    def failed_before(self) -> int:
        """Cells that failed in an earlier run and were left alone."""
        return sum(failure.image_id is None for failure in self.earlier)

    def exit_code(self, allow_failures: int = 0) -> int:
        """0 if all was done but for `allow_failures` failed cells or images, else 1."""
        return 0 if self.n_failures <= allow_failures and not self.n_left else 1

    def frame(self) -> pl.DataFrame:
        """One row per kind, model and task: kind, model, pretrained, task, counts of `Tally`."""
        names = list(Tally.__slots__)
        rows = [(*where, *(getattr(t, n) for n in names)) for where, t in self.tallies.items()]
        types = [pl.String] * 4 + [pl.Int64] * (len(names) - 1) + [pl.Float64]
        columns = ["kind", "model", "pretrained", "task", *names]
        schema = dict(zip(columns, types, strict=True))
        return pl.DataFrame(rows, schema=schema, orient="row").sort(columns[:4])


def _kind_model_task(cell: CellId) -> KindModelTask:
    return cell.kind, cell.model, cell.pretrained, cell.task


def _tally(outcome: CellOutcome) -> Tally:
    return Tally(
        measured=int(outcome.status == "measured"),
        skipped=int(outcome.status == "skipped"),
        failed=int(outcome.status == "failed"),
        n_images=outcome.n_images,
        failed_images=len(outcome.failed_images),
        n_decoded=outcome.n_decoded,
        seconds=outcome.seconds,
    )


def _failures(outcome: CellOutcome) -> list[Failure]:
    kind, model, pretrained, task = _kind_model_task(outcome.cell)
    where = (model, pretrained, task)
    if outcome.status == "failed":
        reason = outcome.reason or "no reason given"
        return [Failure(*where, None, reason, kind, outcome.place or "")]
    return [
        Failure(*where, image_id, reason, kind, outcome.place or "")
        for image_id, reason in outcome.failed_images
    ]
