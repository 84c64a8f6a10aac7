"""Embeddings: the vector that a model makes of an image."""

from typing import ClassVar

import polars as pl
import pyarrow as pa
from pydantic import Field

from vlmsel.measurements.measurement import Measurement
from vlmsel.zoo.capabilities import Capability

OUTPUT = "output"


class Embedding(Measurement):
    """The image embedding before normalisation, or the mean output of a block.

    Stored in float32, 4 D bytes an image: predictions for other classes are derived from it, and
    are then equal bit for bit to those of a forward pass.

    Attributes:
        layer: `output`, or the name of a functional block, whose output is averaged over positions.
    """

    kind: ClassVar[str] = "embedding"
    values: ClassVar[pa.Schema] = pa.schema([pa.field("vector", pa.list_(pa.float32()))])

    layer: str = Field(default=OUTPUT, min_length=1)

    @property
    def requires(self) -> frozenset[Capability]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A block's output needs blocks."""
        needed = {Capability.image_embedding}
        return frozenset(needed if self.layer == OUTPUT else needed | {Capability.blocks})

    def find_fault(self, rows: pl.DataFrame) -> str | None:
        """Every vector is finite, and all have one length."""
        lengths = rows["vector"].list.len().unique()
        if lengths.len() > 1:
            return f"vectors have lengths {sorted(lengths.to_list())}"
        finite = pl.col("vector").list.eval(pl.element().is_finite()).list.all()
        wrong = rows.filter(~finite)
        return None if wrong.is_empty() else f"image {wrong['image_id'][0]}: it is not finite"
