"""The values that work is made of: what is measured (a job), on what (a cell), by which model."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vlmsel.settings import AttributionSettings
from vlmsel.store.keys import ACCURACY_SETTINGS, CellId, cell_key
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

Kind = Literal["profile", "accuracy"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one shard: the unit of work, of storage and of resume.

    Attributes:
        again: it is measured, but images failed in it: measure it once more.
    """

    id: CellId
    shard: Shard
    again: bool = False


@dataclass(frozen=True)
class ProfileJob:
    """Measure block profiles under one set of settings.

    Attributes:
        prompts: class names and templates by task; only the `alignment` objective reads them.
    """

    settings: AttributionSettings
    prompts: Mapping[str, ClassPrompts] = field(default_factory=dict)
    kind: Literal["profile"] = "profile"

    @property
    def digest(self) -> str:
        """What the store files these cells under."""
        return self.settings.digest

    def key(self, identity_digest: str, shard: Shard) -> str:
        """32 hex digits over all that can change this cell's values."""
        digest = self.digest
        if self.settings.objective == "alignment" and shard.task in self.prompts:
            digest += prompts_digest(self.prompts[shard.task])
        return cell_key(identity_digest, digest, [image.sha256 for image in shard.images])


@dataclass(frozen=True)
class AccuracyJob:
    """Measure zero-shot accuracy; every task's shard holds all its images.

    Attributes:
        prompts: class names and templates by task.
    """

    prompts: Mapping[str, ClassPrompts]
    kind: Literal["accuracy"] = "accuracy"

    @property
    def digest(self) -> str:
        """Accuracies have no settings: the prompts are part of the key."""
        return ACCURACY_SETTINGS

    def key(self, identity_digest: str, shard: Shard) -> str:
        """32 hex digits over the model, the images, their labels and the prompts."""
        labels = json.dumps([image.label for image in shard.images])
        digest = prompts_digest(self.prompts[shard.task]) + labels
        return cell_key(identity_digest, digest, [image.sha256 for image in shard.images])


Job = ProfileJob | AccuracyJob


def prompts_digest(prompts: ClassPrompts) -> str:
    """16 hex digits over class names and templates, in order."""
    text = json.dumps([prompts.classnames, prompts.templates])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ModelWork:
    """What one model still has to measure.

    Attributes:
        cells: in task order, so that models on one node meet the same decoded images.
        seconds_per_image: expected, from a past run or an estimate.
    """

    spec: ModelSpec
    identity: ModelIdentity
    cells: tuple[Cell, ...]
    seconds_per_image: float

    @property
    def name(self) -> str:
        """The model's key in files and tables, `model/pretrained`."""
        return self.spec.name

    @property
    def seconds(self) -> float:
        """Expected compute of all its cells."""
        return self.seconds_per_image * sum(len(cell.shard.images) for cell in self.cells)


@dataclass(frozen=True)
class CellOutcome:
    """What became of one cell; small enough to travel.

    Attributes:
        status: `skipped` means that the store had it already.
        reason: why it failed.
        n_images: images measured.
        failed_images: (image_id, reason) of the images that could not be measured.
        seconds: accelerator-side compute, without decoding and waiting.
        n_decoded: images that had to be decoded, rather than taken from the node's cache.
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
class Failure:
    """What could not be measured.

    An image, a cell (no image_id), a task or a model (the other's name is empty).
    """

    model: str
    pretrained: str
    task: str
    image_id: str | None
    reason: str

    def __str__(self) -> str:
        model = f"{self.model}/{self.pretrained}" if self.model else ""
        where = " on ".join(part for part in (model, self.task) if part)
        image = f", image {self.image_id}" if self.image_id else ""
        return f"{where}{image}: {self.reason}"
