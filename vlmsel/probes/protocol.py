"""Protocol of a probe, which computes one kind of measurement on a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from vlmsel.probes.batch import Batch


@dataclass(frozen=True)
class Probed:
    """Values of a batch's images.

    Attributes:
        images: for every row, the number of its image in the batch.
        columns: the measurement's `values`, one entry per row.
        failures: images without rows, by number, each with the reason.
        inexact: completeness error of images by number, where it is large.
    """

    images: Sequence[int]
    columns: Mapping[str, pa.Array]
    failures: Mapping[int, str] = field(default_factory=dict)
    inexact: Mapping[int, float] = field(default_factory=dict)


class Probe(Protocol):
    """Computes one kind of measurement; made once per worker and settings."""

    @property
    def needs_images(self) -> bool:
        """False where the output embedding is enough, which may then come from the store."""
        ...

    @property
    def layers(self) -> Sequence[str]:
        """Blocks whose output it reads from the shared forward pass."""
        ...

    def measure(self, batch: Batch) -> Probed:
        """Compute the values.

        Raises:
            VlmselError: this model's values mean nothing, on any image.
        """
        ...
