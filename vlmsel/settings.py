"""Settings of an attribution: the part of a cell's fingerprint that a user chooses."""

import hashlib
import json
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vlmsel.errors import SettingsError
from vlmsel.suggest import nearest

# Log-probability of an option that a question does not have: the least that float16 holds.
NO_OPTION = -65504.0
SCHEMA_VERSION = 2

Attribution = Literal["conductance", "gradient", "gradient_x_activation"]
Objective = Literal["l2", "entropy", "variance", "alignment", "score-mean", "score-class"]
Tower = Literal["vision", "text", "both"]
Baseline = Literal["zeros", "mean-image", "blur"]
Rule = Literal["captum", "left", "right", "midpoint", "trapezoid", "refined"]
PathName = Literal["uniform", "graded", "adaptive"]
Granularity = Literal["block", "stage", "published"]
Precision = Literal["fp32", "bf16"]

PATH_FIELDS = ("baseline", "n_steps", "rule", "path")
# Scores of an image against a text, of which either tower has a share.
SCORES: tuple[Objective, ...] = ("score-mean", "score-class")


class AttributionSettings(BaseModel):
    """Settings of block scores. Two equal digests mean comparable profiles.

    Attributes:
        attribution: block score; the formulas are in docs/internals/method.md.
        objective: scalar F_M(x) of the un-normalised image embedding, or a score of image and text.
        tower: whose blocks are scored, and which of image and text moves along the path.
        baseline: where the path starts, after preprocessing.
        n_steps: gradient evaluations on the path per image; the first number for rule "refined".
        rule: quadrature rule on the path.
        path: how the points are spaced between baseline and image.
        granularity: which modules of the visual tower count as blocks.
        precision: arithmetic of the visual encoder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribution: Attribution = "conductance"
    objective: Objective = "l2"
    tower: Tower = "vision"
    baseline: Baseline = "zeros"
    n_steps: int = Field(default=9, ge=1, le=1000)
    rule: Rule = "refined"
    path: PathName = "adaptive"
    granularity: Granularity = "block"
    precision: Precision = "fp32"

    @model_validator(mode="after")
    def _enough_steps(self) -> Self:
        if self.rule == "trapezoid" and self.n_steps < 2:
            raise ValueError("n_steps must be at least 2 with rule trapezoid")
        if self.tower != "vision" and self.objective not in SCORES:
            raise ValueError(
                f"tower {self.tower} needs an objective of image and text: {' or '.join(SCORES)}"
            )
        return self

    @classmethod
    def preset(cls, name: Literal["default", "paper"]) -> Self:
        """The default settings, or the published ones (zeros, 50 captum steps, mean |a|)."""
        if name == "default":
            return cls()
        return cls(n_steps=50, rule="captum", path="uniform", granularity="published")

    @property
    def digest(self) -> str:
        """16 hex digits over every choice that can change a value (a gradient has no path)."""
        return self.digest_under(SCHEMA_VERSION)

    def digest_under(self, schema: int) -> str:
        """The digest that these settings have under a schema version."""
        fields = self.model_dump()
        if self.tower == "vision":
            # Profiles measured before there was a choice keep their digest.
            del fields["tower"]
        if self.attribution != "conductance":
            fields = {k: v for k, v in fields.items() if k not in PATH_FIELDS}
        text = json.dumps({"schema": schema, **fields}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_settings(fields: Mapping[str, object]) -> AttributionSettings:
    """Settings from loose values (strings from a command line, a YAML file).

    Raises:
        SettingsError: the first key or value that does not fit, and what would.
    """
    try:
        return AttributionSettings.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise SettingsError(first["msg"].removeprefix("Value error, ")) from None
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            known = list(AttributionSettings.model_fields)
            hint = nearest(key, known, n=1) or f"; known: {', '.join(known)}"
            raise SettingsError(f"no attribution setting {key!r}{hint}") from None
        raise SettingsError(
            f"attribution setting {key}={first['input']!r}: {first['msg']}"
        ) from None
