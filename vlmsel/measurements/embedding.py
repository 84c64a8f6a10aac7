"""Embeddings: the vector that a model makes of an image."""

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa
from pydantic import Field

from vlmsel.measurements.measurement import Measurement
from vlmsel.zoo.capabilities import Capability

OUTPUT = "output"
EVERY_BLOCK = "every-block"


class Embedding(Measurement):
    """The image embedding before normalisation, or the mean output of a block or of all of them.

    Stored in float32, 4 D bytes per image: predictions for other classes are derived from it, and
    are then equal bit for bit to those of a forward pass.

    Attributes:
        layer: `output`, the name of a functional block, whose output is averaged over positions, or
            `every-block`: those of all blocks one after the other in forward order, each followed
            by zeros up to the widest.
    """

    kind: ClassVar[str] = "embedding"
    values: ClassVar[pa.Schema] = pa.schema([pa.field("vector", pa.list_(pa.float32()))])

    layer: str = Field(default=OUTPUT, min_length=1)

    @property
    def requires(self) -> frozenset[Capability]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A block's output needs blocks."""
        needed = {Capability.image_embedding}
        return frozenset(needed if self.layer == OUTPUT else needed | {Capability.blocks})

    @property
    def faults(self) -> Mapping[str, pl.Expr]:
        """Every vector is finite, and all have one length."""
        vector = pl.col("vector").list
        return {
            "its vector has another length": vector.len() != vector.len().mode().first(),
            "its vector is not finite": ~vector.eval(pl.element().is_finite()).list.all(),
        }
