"""Predictions: what a model answers on an image, over the classes of a task."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field

from vlmsel.measurements.measurement import Measurement
from vlmsel.zoo.capabilities import Capability

TOP_K = 5


class Prediction(Measurement):
    """Zero-shot logits in the model's own temperature (and with its bias, where it has one).

    `argmax`, `top` and `log_sum_exp` are taken in float32, so that the float16 of `logits`, which
    halves the bytes, can change none of them. Bytes an image before compression, with C classes:
    2 C + about 30 (full), or 6 k + about 30 (the best k).

    On a task of questions the classes are the options: the logits are their log-probabilities in
    place, -65504 for an option that a question does not have, and exp(log_sum_exp) is the
    probability of all options together. Generated answers that are none of the options are a class
    of their own, after the last option; the class that is answered has logit 0, others -65504.

    Attributes:
        logits: `full`, all classes in class order, or how many of the best to keep (as `top`).
        options: how options of a question are scored: `sum` of the log-probabilities of their
            tokens, the `mean` per character, or `generated`, a greedy answer matched with them.
    """

    kind: ClassVar[str] = "prediction"
    values: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("argmax", pa.int32()),
            pa.field("top", pa.list_(pa.int32())),
            pa.field("log_sum_exp", pa.float32()),
            pa.field("logits", pa.list_(pa.float16())),
            pa.field("n_classes", pa.int32()),
        ]
    )
    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.image_embedding, Capability.text_embedding}
    )

    later: ClassVar[Mapping[str, object]] = {"options": "sum"}

    logits: Literal["full"] | Annotated[int, Field(ge=1)] = "full"
    options: Literal["sum", "mean", "generated"] = "sum"

    def requires_of(self, *, asks_questions: bool) -> frozenset[Capability]:
        """Scores of options, where questions are asked."""
        return frozenset({Capability.choice_scores}) if asks_questions else self.requires

    @property
    def reads_prompts(self) -> bool:
        """The classes are what is answered."""
        return True

    @property
    def n_top(self) -> int:
        """Number of classes named in `top`, where the task has as many."""
        return TOP_K if self.logits == "full" else max(TOP_K, int(self.logits))

    @property
    def faults(self) -> Mapping[str, pl.Expr]:
        """Ids name classes, the best comes first, and every number is finite."""
        n_classes, top, logits = pl.col("n_classes"), pl.col("top"), pl.col("logits")
        n_top = pl.min_horizontal(n_classes, pl.lit(self.n_top))
        n_logits = n_classes if self.logits == "full" else n_top
        return {
            "argmax is not the first of top": pl.col("argmax") != top.list.first(),
            "top names a class that is not there": (top.list.min() < 0)
            | (top.list.max() >= n_classes),
            "top has not its length": top.list.len() != n_top,
            "logits have not their length": logits.list.len() != n_logits,
            "a logit is not finite": ~logits.list.eval(pl.element().is_finite()).list.all(),
            "log_sum_exp is not finite": ~pl.col("log_sum_exp").is_finite(),
        }
