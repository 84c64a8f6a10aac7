"""From divergences to weights over the source tasks."""

import math
from typing import Literal, get_args

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError

Scale = Literal["none", "spread"]

# A spread below this share of the mean is rounding, not a difference between sources.
FLAT = 1e-12


def similarity(
    dcd: pl.DataFrame, *, gamma: float = 5.0, scale: Scale = "none", pooled: bool = False
) -> pl.DataFrame:
    """Turn divergences into weights over sources.

    w_S = softmax over sources of -gamma * D_S
    (docs/internals/selection.md). D is DCD itself (`none`) or,
    with `spread`, (DCD - mean) / std over the sources of one model and target, all zero where they
    do not differ. Pooled, D is averaged over the models that know the source and all models of a
    target share one vector of weights.

    Args:
        dcd: model, pretrained, source, target, dcd.
        gamma: sharpness, at least 0; 0 weighs all sources alike.
        scale: unit of D.
        pooled: one vector of weights per target instead of one per model and target.

    Returns:
        The rows of `dcd` with a column weight, which sums to 1 over the sources of each model and
        target.

    Raises:
        SelectionError: an option is out of range.
    """
    if not (math.isfinite(gamma) and gamma >= 0):
        raise SelectionError(f"gamma must be a finite number of at least 0, not {gamma}")
    if scale not in get_args(Scale):
        raise SelectionError(f"scale must be one of {', '.join(get_args(Scale))}, not {scale!r}")
    sources = [*MODEL, "target"]
    shared = pl.col("_d").mean().over("source", "target") if pooled else pl.col("_d")
    # Steps of their own, since polars nests no windows.
    logit = dcd.with_columns(_d=scaled_divergence(scale)).with_columns(_logit=-gamma * shared)
    raised = logit.with_columns(
        weight=(pl.col("_logit") - pl.col("_logit").max().over(sources)).exp()
    )
    return raised.with_columns(pl.col("weight") / pl.col("weight").sum().over(sources)).drop(
        "_d", "_logit"
    )


def scaled_divergence(scale: Scale) -> pl.Expr:
    """Return D of `similarity` as an expression over the rows of a DCD table."""
    d = pl.col("dcd")
    if scale == "none":
        return d
    mean, std = (x.over([*MODEL, "target"]) for x in (d.mean(), d.std(ddof=0)))
    return pl.when(std > FLAT * mean.abs()).then((d - mean) / std).otherwise(0.0)


def effective_sources(weights: pl.DataFrame) -> pl.DataFrame:
    """Count the sources that a vector of weights effectively uses: exp(-sum_S w_S ln w_S).

    Args:
        weights: model, pretrained, source, target, weight.

    Returns:
        model, pretrained, target, effective (1 to n_sources), n_sources; sorted by the first three.
    """
    keys = [*MODEL, "target"]
    w = pl.col("weight")
    entropy = -pl.when(w > 0).then(w * w.log()).otherwise(0.0).sum()
    return weights.group_by(keys).agg(effective=entropy.exp(), n_sources=pl.len()).sort(keys)
