"""Made-up models, shards, cells and units for the pure parts."""

import hashlib
from collections.abc import Sequence

from vlmsel.evidence.wanted_cells import RequestedMeasurement, WantedShard
from vlmsel.execution.plan.units import Cell, Job, ModelUnits, Unit
from vlmsel.measurements import Embedding, Measurement, Prediction, Profile
from vlmsel.store.keys import images_digest
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

PROFILE = Profile()
THREE: tuple[Measurement, ...] = (PROFILE, Prediction(), Embedding())
JOB = Job({"profile": PROFILE})


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def spec(name: str, memory_gb: float | None = None) -> ModelSpec:
    return ModelSpec(model=name, pretrained="x", memory_gb=memory_gb)


def identity(name: str, preprocessing: str = "p") -> ModelIdentity:
    return ModelIdentity(
        architecture=name, activation="gelu", preprocessing=preprocessing, weights_sha256=sha(name)
    )


def shard(task: str, n_images: int = 2, number: int = 0) -> Shard:
    names = [f"{task}-{number}-{i}" for i in range(n_images)]
    return Shard(task, number, tuple(ImageRef(n, sha(n), f"/none/{n}", None, 0) for n in names))


def job(measurements: Sequence[Measurement]) -> Job:
    return Job({one.kind: one for one in measurements})


def wanted(*shards: Shard, measurements: Sequence[Measurement] = (PROFILE,)) -> list[WantedShard]:
    """Every measurement asked of every shard, without prompts."""
    asked = tuple(RequestedMeasurement(one.kind, one.digest, one.digest) for one in measurements)
    return [
        WantedShard(part, images_digest((ref.image_id, ref.sha256) for ref in part.images), asked)
        for part in shards
    ]


def work(
    name: str,
    n_units: int,
    *,
    seconds: float = 1.0,
    memory_gb: float | None = None,
    measurements: Sequence[Measurement] = (PROFILE,),
) -> ModelUnits:
    """`n_units` units of one image, each cell of `seconds`."""
    parts = wanted(
        *(shard(f"task{number}", n_images=1) for number in range(n_units)),
        measurements=measurements,
    )
    model = (spec(name, memory_gb), identity(name))
    units = tuple(
        Unit(part.shard, tuple(Cell(cell) for cell in part.cells(model))) for part in parts
    )
    return ModelUnits(*model, units, {one.kind: seconds for one in measurements})
