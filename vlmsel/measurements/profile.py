"""Profiles: the block scores of an image."""

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from vlmsel.measurements.measurement import Measurement
from vlmsel.settings import SCORES, AttributionSettings
from vlmsel.zoo.capabilities import Capability

# A backward pass costs about two forward passes, so a point of the path costs three.
PASSES_PER_STEP = 3.0
OBJECTIVES_OF_TEXT = ("alignment", *SCORES)


class Profile(Measurement):
    """Layer conductance (or a gradient score) of every block of the visual encoder.

    With tower `text` or `both`, of the blocks of the text encoder, whose names begin with `text.`.

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
    default_images: ClassVar[int | None] = 25

    settings: AttributionSettings = AttributionSettings()

    @property
    def requires(self) -> frozenset[Capability]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A score of image and text needs both towers."""
        needed = {Capability.image_embedding, Capability.blocks}
        is_score = self.settings.objective in SCORES
        return frozenset(needed | ({Capability.text_embedding} if is_score else set()))

    def digest_under(self, schema: int) -> str:
        """16 hex digits over every choice that can change a value."""
        return self.settings.digest_under(schema)

    @property
    def reads_prompts(self) -> bool:
        """True if the objective compares the image with class names."""
        return self.settings.objective in OBJECTIVES_OF_TEXT

    @property
    def forward_passes(self) -> float:
        """Cost for one image, in forward passes."""
        steps = self.settings.n_steps + 1 if self.settings.attribution == "conductance" else 1
        towers = 2 if self.settings.tower == "both" else 1
        return PASSES_PER_STEP * steps * towers

    @property
    def faults(self) -> Mapping[str, pl.Expr]:
        """A conductance is a finite number >= 0."""
        value = pl.col("conductance")
        return {
            "its conductance is not a finite number >= 0": ~(value.is_finite() & (value >= 0.0))
        }
