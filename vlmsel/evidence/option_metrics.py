"""Accuracies on multiple-choice questions by every way to score options that was measured."""

from dataclasses import replace

import polars as pl

from vlmsel.columns import CELL
from vlmsel.evidence.catalog_contents import Catalogued
from vlmsel.evidence.evidence import Evidence
from vlmsel.measurements.measurement import Want
from vlmsel.measurements.prediction import Prediction
from vlmsel.store.store import Store
from vlmsel.tasks.questions import TaskQuestions

SCHEMA = {
    **dict.fromkeys(CELL, pl.String),
    "sum": pl.Float64,
    "mean": pl.Float64,
    "generated": pl.Float64,
    "outside": pl.Float64,
    "unanswered": pl.Float64,
}


def option_metrics(store: Store, catalogued: Catalogued, want: Want) -> pl.DataFrame:
    """Accuracies of the models on the tasks of questions, side by side.

    Args:
        store: where predictions are.
        catalogued: the catalogs.
        want: of predictions; its number of images and logits count.

    Returns:
        model, pretrained, task; accuracy by the sum of an option's log-probabilities, by their mean
        per character, and of generated answers; `outside`, mean probability of all but the options;
        `unanswered`, share of generated answers that are none of them. Null where not measured.
    """
    names = [t for t, prompts in catalogued.prompts.items() if isinstance(prompts, TaskQuestions)]
    if not names or not isinstance(want.measurement, Prediction):
        return pl.DataFrame(schema=SCHEMA)
    asked = catalogued.only(names)
    models = pl.DataFrame(
        [(spec.model, spec.pretrained, task) for spec, _ in asked.models for task in names],
        schema=dict.fromkeys(CELL, pl.String),
        orient="row",
    )
    table = models
    for options in ("sum", "mean", "generated"):
        measurement = want.measurement.model_copy(update={"options": options})
        evidence = Evidence(
            store, asked, {"prediction": replace(want, measurement=measurement)}, with_logits=True
        )
        found = evidence.accuracies.select(*CELL, pl.col("acc1").alias(options))
        table = table.join(found, on=CELL, how="left")
        if options != "mean":
            table = table.join(_share_outside(evidence, options), on=CELL, how="left")
    return table.select(list(SCHEMA)).filter(
        pl.any_horizontal(pl.col("sum", "mean", "generated").is_not_null())
    )


def _share_outside(evidence: Evidence, options: str) -> pl.DataFrame:
    """Share of the answers that is none of the options: probability, or of generated ones."""
    if options == "sum":
        probability = pl.col("log_sum_exp").cast(pl.Float64).exp().clip(0.0, 1.0)
        share = (1.0 - probability).mean().alias("outside")
    else:
        share = (pl.col("argmax") == pl.col("n_classes") - 1).mean().alias("unanswered")
    return evidence.predictions.group_by(CELL).agg(share)
