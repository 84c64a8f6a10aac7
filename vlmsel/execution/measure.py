"""What a worker needs to know about a kind of measurement.

Is it there, measure it, or note why not.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from vlmsel.execution.cells import Cell
from vlmsel.execution.decoded import DecodedShard
from vlmsel.store.failed_images import ImageReasons
from vlmsel.tasks.index import ImageRef
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.loader import LoadedModel

Decode = Callable[[Shard], DecodedShard]


@dataclass(frozen=True)
class Measured:
    """What came of one cell.

    Attributes:
        n_images: images that were measured; 0 means that nothing was written.
        failed: (image, reason) of the others.
        seconds: time on the accelerator.
        n_decoded: images that were decoded for it.
        inexact: (image, completeness error) where that error is large.
    """

    n_images: int
    failed: tuple[tuple[ImageRef, str], ...]
    seconds: float
    n_decoded: int
    inexact: tuple[tuple[ImageRef, float], ...] = ()


class Recorder(Protocol):
    """Measures one kind of cell and keeps its results in a store."""

    def has(self, cell: Cell) -> bool:
        """Whether the store holds this cell."""
        ...

    def failed_images(self, cell: Cell) -> ImageReasons:
        """(image_id, reason) of the images that failed in a measured cell."""
        ...

    def measure(
        self,
        model: LoadedModel,
        cell: Cell,
        decode: Decode,
        accelerator: AbstractContextManager[object],
    ) -> Measured:
        """Measure a cell and commit it, unless no image could be measured.

        Computes only while it holds `accelerator`.
        """
        ...

    def fail(self, cell: Cell, reason: str, kind: str) -> None:
        """Note in the store why a cell could not be measured."""
        ...
