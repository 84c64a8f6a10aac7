"""Texts: the vector that a model's text tower makes of each text of a task."""

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from vlmsel.measurements.measurement import Measurement
from vlmsel.zoo.capabilities import Capability


class Text(Measurement):
    """The normalised text embedding; no image is read.

    A row is a text: `image_id` is the text's id and `image_sha256` the digest of its words. The key
    of a cell is made of the texts and of what in the model's identity a text tower reads: neither
    images, preprocessing nor class prompts are in it.
    """

    kind: ClassVar[str] = "text"
    values: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("text", pa.string()),
            pa.field("vector", pa.list_(pa.float32())),
        ]
    )
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.text_embedding})
    of_texts: ClassVar[bool] = True

    @property
    def faults(self) -> Mapping[str, pl.Expr]:
        """Every vector is finite and no zero, and all have one length."""
        vector = pl.col("vector").list
        return {
            "its vector has another length": vector.len() != vector.len().mode().first(),
            "its vector is not finite": ~vector.eval(pl.element().is_finite()).list.all(),
        }
