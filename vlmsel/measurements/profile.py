"""Profiles: the block scores of an image."""

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from vlmsel.measurements.measurement import Measurement
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.capabilities import Capability

# A backward pass costs about two forward passes, so a point of the path costs three.
PASSES_PER_STEP = 3.0


class Profile(Measurement):
    """Layer conductance (or a gradient score) of every block of the visual encoder.

    Attributes:
        settings: how a block is scored; the digest is theirs.
    """

    kind: ClassVar[str] = "profile"
    values: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("block", pa.int32()),
            pa.field("block_name", pa.string()),
            pa.field("conductance", pa.float64()),
            pa.field("completeness_error", pa.float64()),
            pa.field("objective", pa.float64()),
        ]
    )
    optional: ClassVar[frozenset[str]] = frozenset({"completeness_error", "objective"})
    row_key: ClassVar[tuple[str, ...]] = ("block",)
    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.image_embedding, Capability.blocks}
    )
    default_images: ClassVar[int | None] = 25

    settings: AttributionSettings = AttributionSettings()

    def digest_under(self, schema: int) -> str:
        """16 hex digits over every choice that can change a value."""
        return self.settings.digest_under(schema)

    @property
    def reads_prompts(self) -> bool:
        """Whether the objective compares the image with class names."""
        return self.settings.objective == "alignment"

    @property
    def forward_passes(self) -> float:
        """Cost for one image, in forward passes."""
        steps = self.settings.n_steps + 1 if self.settings.attribution == "conductance" else 1
        return PASSES_PER_STEP * steps

    @property
    def faults(self) -> Mapping[str, pl.Expr]:
        """A conductance is a finite number >= 0."""
        value = pl.col("conductance")
        return {
            "its conductance is not a finite number >= 0": ~(value.is_finite() & (value >= 0.0))
        }
