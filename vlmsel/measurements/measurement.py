"""The base class of measurements: what a kind of measurement declares about itself."""

import hashlib
import json
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from vlmsel.settings import SCHEMA_VERSION
from vlmsel.zoo.capabilities import Capability

# Of every kind: which image the row is of, and why it has no values.
SHARED = (
    pa.field("model", pa.string(), nullable=False),
    pa.field("pretrained", pa.string(), nullable=False),
    pa.field("task", pa.string(), nullable=False),
    pa.field("image_id", pa.string(), nullable=False),
    pa.field("image_sha256", pa.string(), nullable=False),
)
REASON = pa.field("reason", pa.string())


class Measurement(BaseModel, ABC):
    """One kind of measurement under its settings, which are the fields of the subclass.

    Attributes:
        kind: folder in the store and word on the command line; lower-case letters, digits and -.
        values: columns beside `SHARED` and `reason`.
        optional: the columns of `values` that a measured row may leave null.
        row_key: columns that tell the rows of one image apart; empty where an image has one row.
        requires: what a model must be able to do, on a task of classes or without any.
        later: settings that came later, with the value that earlier cells have; with that value
            they are no part of the digest.
        default_images: how many images of a task are measured where nothing is said; None for all.
        of_texts: True if rows are texts of a task's classes in place of images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    values: ClassVar[pa.Schema]
    optional: ClassVar[frozenset[str]] = frozenset()
    row_key: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.image_embedding})
    later: ClassVar[Mapping[str, object]] = {}
    default_images: ClassVar[int | None] = None
    of_texts: ClassVar[bool] = False

    @classmethod
    def row_schema(cls) -> pa.Schema:
        """All columns of a stored row, in order."""
        return pa.schema([*SHARED, *cls.values, REASON])

    @property
    def digest(self) -> str:
        """16 hex digits over kind, schema version and every setting."""
        return self.digest_under(SCHEMA_VERSION)

    def digest_under(self, schema: int) -> str:
        """The digest that these settings have under a schema version."""
        left_out = {name for name, value in self.later.items() if getattr(self, name) == value}
        settings = self.model_dump(mode="json", exclude=left_out)
        text = json.dumps({"kind": self.kind, "schema": schema, **settings}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def requires_of(self, *, asks_questions: bool) -> frozenset[Capability]:
        """Capabilities that a model needs; they may be others on multiple-choice questions."""
        return self.requires

    @property
    def reads_prompts(self) -> bool:
        """True if the class names and templates of a task change the values, and so the key."""
        return False

    @property
    def forward_passes(self) -> float:
        """Cost for one image, in forward passes of the visual encoder."""
        return 1.0

    @property
    def faults(self) -> Mapping[str, pl.Expr]:
        """Conditions that no measured row may fulfil, by their words for people.

        Columns, nulls and doubled rows are checked for every kind alike.
        """
        return {}


@dataclass(frozen=True)
class Want:
    """A measurement that is wanted of a number of images per task; None means all of them.

    The number selects cells; it is part of no key.
    """

    measurement: Measurement
    n_images: int | None = None

    @property
    def kind(self) -> str:
        """The measurement's kind."""
        return self.measurement.kind
