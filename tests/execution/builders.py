"""Made-up models, shards and cells for the pure parts."""

import hashlib

from vlmsel.execution.cells import Cell, ModelWork, ProfileJob
from vlmsel.settings import AttributionSettings
from vlmsel.store.keys import CellId
from vlmsel.tasks.index import ImageRef
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

JOB = ProfileJob(AttributionSettings())


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


def work(
    name: str, n_cells: int, *, seconds: float = 1.0, memory_gb: float | None = None
) -> ModelWork:
    """`n_cells` cells of one image, `seconds` each."""
    cells = []
    for number in range(n_cells):
        part = shard(f"task{number}", n_images=1)
        key = JOB.key(identity(name).digest, part)
        cells.append(Cell(CellId(name, "x", part.task, key, JOB.digest), part))
    return ModelWork(spec(name, memory_gb), identity(name), tuple(cells), seconds)
