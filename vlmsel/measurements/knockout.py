"""Knockouts: what a model answers with one of its layers silenced, one layer after the other."""

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from vlmsel.measurements.measurement import Measurement
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.layer_name import Part, Tower

# The number of the rows of the model as it is.
BASE_LAYER = -1
BASE, ACTS, OFF_PATH, NOT_FINITE, NO_BYPASS = STATES = (
    "base",
    "acts",
    "off-path",
    "not-finite",
    "no-bypass",
)
# A visual tower of 12 blocks costs 6.5 forward passes, see docs/guide/layers.md.
PASSES = {"vision": 7.0, "text": 1.0}


class Knockout(Measurement):
    """Zero-shot answers with every layer of one tower silenced in turn, beside the base's.

    The base rides in the same batch as its knockouts, so that both are computed alike. Bytes an
    image before compression, with L layers and C classes: (L + 1) (2 C + about 10).

    States of a row: `base`, the model as it is; `acts`, the layer is silent and the embeddings
    change; `off-path`, they do not change; `not-finite`, an answer is no number (argmax is -1);
    `no-bypass`, the layer cannot be silenced in this way (its answers are null).

    Attributes:
        tower: whose layers are silenced.
        part: what of a layer is silenced, see `vlmsel.zoo.layer_name.LayerName`.
    """

    kind: ClassVar[str] = "knockout"
    values: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("layer", pa.int32()),
            pa.field("layer_name", pa.string()),
            pa.field("state", pa.string()),
            pa.field("argmax", pa.int32()),
            pa.field("log_probabilities", pa.list_(pa.float16())),
        ]
    )
    optional: ClassVar[frozenset[str]] = frozenset({"argmax", "log_probabilities"})
    row_key: ClassVar[tuple[str, ...]] = ("layer",)
    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.image_embedding, Capability.text_embedding, Capability.blocks}
    )
    default_images: ClassVar[int | None] = 200

    tower: Tower = "vision"
    part: Part = "block"

    def requires_of(self, *, asks_questions: bool) -> frozenset[Capability]:
        """Scores of options with blocks silenced, where questions are asked."""
        scores = frozenset({Capability.choice_scores, Capability.blocks})
        return scores if asks_questions else self.requires

    @property
    def reads_prompts(self) -> bool:
        """The classes are what is answered."""
        return True

    @property
    def forward_passes(self) -> float:
        """Cost for one image, in forward passes of the visual encoder."""
        return PASSES[self.tower]

    @property
    def faults(self) -> Mapping[str, pl.Expr]:
        """Every row has a known state, and answers where its state has some."""
        state, argmax = pl.col("state"), pl.col("argmax")
        answers = pl.col("log_probabilities").list
        is_answered = state.is_in([BASE, ACTS, OFF_PATH])
        return {
            "it has no known state": ~state.is_in(STATES),
            "its base is layer -1": (state == BASE) != (pl.col("layer") == BASE_LAYER),
            "it has no answer": is_answered & (argmax.is_null() | answers.len().is_null()),
            "its answer names no class": is_answered
            & ((argmax < 0) | (argmax >= answers.len().cast(pl.Int32))),
            "a log-probability is not finite": is_answered
            & ~answers.eval(pl.element().is_finite()).list.all(),
            "it has an answer": (state == NO_BYPASS) & argmax.is_not_null(),
        }
