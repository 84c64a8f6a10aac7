"""Weights that a selector gives to the sources of each target."""

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import judge
from vlmsel.evaluation.studies.study_data import StudyData


def sources_weighed(data: StudyData) -> pl.DataFrame:
    """The weight of every source for every target, mean over the models of its zoo.

    Returns:
        selector, target, source, weight, effective (mean over models of exp of the entropy of the
        weights), n_sources; a target's weights sum to 1 where every model knows every source.

    Raises:
        SelectionError: No selector compares tasks.
    """
    weights = judge(data.selectors, data.held_out).weights.collect()
    if weights.is_empty():
        msg = f"none of {', '.join(data.selectors)} weighs sources; add dcd or dcd-pooled"
        raise SelectionError(msg)
    w = pl.col("weight")
    model = ["selector", "target", "model", "pretrained"]
    spread = weights.group_by(model).agg(
        effective=(-pl.when(w > 0).then(w * w.log()).otherwise(0.0).sum()).exp(),
        n_sources=pl.len(),
    )
    effective = spread.group_by("selector", "target").agg(
        pl.col("effective").mean(), pl.col("n_sources").max()
    )
    mean_weights = weights.group_by("selector", "target", "source").agg(w.mean())
    return mean_weights.join(effective, on=["selector", "target"]).sort(
        "selector", "target", "source"
    )
