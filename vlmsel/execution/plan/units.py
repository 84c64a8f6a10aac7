"""The values that work is made of: what is measured (a job), on what (units of cells), by whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from vlmsel.measurements.measurement import Measurement
from vlmsel.store.keys import CellId
from vlmsel.tasks.prompts import TaskPrompts
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement of a model on a shard: the unit of storage and of resume.

    Attributes:
        again: it is measured, but images failed in it: measure it once more.
    """

    id: CellId
    again: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """One model on one shard with every cell wanted of it: the unit of scheduling.

    The shard is read and decoded once for all of them.
    """

    shard: Shard
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        return ", ".join(str(cell.id) for cell in self.cells)

    def only(self, ids: Iterable[CellId]) -> "Unit":
        """The same shard with some of its cells."""
        kept = set(ids)
        return Unit(self.shard, tuple(cell for cell in self.cells if cell.id in kept))


@dataclass(frozen=True)
class Job:
    """Measurements and prompts of a run.

    Attributes:
        measurements: by kind.
        prompts: class names and templates, or questions, by task, of the tasks that have some.
    """

    measurements: Mapping[str, Measurement]
    prompts: Mapping[str, TaskPrompts] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def name(self) -> str:
        """The kinds, for people and metrics: ``profile+prediction``."""
        return "+".join(self.measurements)


@dataclass(frozen=True)
class ModelUnits:
    """Units that one model still has to measure.

    Attributes:
        units: in task order, so that models on one node meet the same decoded images.
        seconds_per_image: expected by kind, from a past run or an estimate.
    """

    spec: ModelSpec
    identity: ModelIdentity
    units: tuple[Unit, ...]
    seconds_per_image: Mapping[str, float]

    @property
    def name(self) -> str:
        """The model's key in files and tables, `model/pretrained`."""
        return self.spec.name

    @property
    def seconds(self) -> float:
        """Expected compute of all its cells."""
        return sum(
            self.seconds_per_image[cell.id.kind] * len(unit.shard.images)
            for unit in self.units
            for cell in unit.cells
        )


@dataclass(frozen=True)
class CellOutcome:
    """Outcome of one cell; small enough to travel.

    Attributes:
        status: `skipped` means that the store had it already.
        reason: why it failed.
        n_images: images measured.
        failed_images: (image_id, reason) of the images that could not be measured.
        seconds: accelerator-side compute, without decoding and waiting.
        n_decoded: images that had to be decoded for its unit; counted in the unit's first cell.
        transient: the failure may pass (an input/output error) and was not recorded.
        place: process, node and GPU of a Ray worker.
        inexact: (image_id, completeness error) of measured images where that error is large.
    """

    cell: CellId
    status: Literal["measured", "failed", "skipped"]
    reason: str | None = None
    n_images: int = 0
    failed_images: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    n_decoded: int = 0
    transient: bool = False
    place: str = ""
    inexact: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class UnitOutcome:
    """Outcomes of the cells of one unit, each once."""

    outcomes: tuple[CellOutcome, ...]

    @property
    def reason(self) -> str | None:
        """Reason of its first failed cell."""
        return next((o.reason for o in self.outcomes if o.status == "failed"), None)

    @property
    def seconds(self) -> float:
        """Accelerator-side compute of all its cells."""
        return sum(outcome.seconds for outcome in self.outcomes)
