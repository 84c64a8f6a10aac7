"""A ranked zoo, with what it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.problem import Problem
from vlmsel.selection.similarity import effective_sources

# Above this share of all sources the weights say little more than that all sources are alike.
NEAR_UNIFORM = 0.9
# Scores closer than this are ties; sums of ranks differ by more.
TIE_DECIMALS = 10


@dataclass(frozen=True)
class Ranking:
    """A zoo in the order that a selector proposes for a target.

    Attributes:
        table: target, rank (1 = first choice), model, pretrained, score (lower is better).
        weights: model, pretrained, source, weight (sums to 1 over the sources of a model); None for
            a selector that compares no tasks.
        effective_sources: exp of the entropy of the weights, mean over models; None without
            weights.
        n_sources: number of source tasks.
        near_uniform: the effective sources are more than 0.9 of those that know a model, mean over
            models: the ranking is little else than average rank.
        left_out: model, pretrained, reason of the models that could not be ranked.
    """

    table: pl.DataFrame
    weights: pl.DataFrame | None
    effective_sources: float | None
    n_sources: int
    near_uniform: bool
    left_out: pl.DataFrame

    @property
    def notice(self) -> str | None:
        """The sentence to show when the similarity hardly tells the sources apart, else None."""
        if not self.near_uniform or self.effective_sources is None:
            return None
        return (
            f"The similarity hardly tells the sources apart ({self.effective_sources:.1f} "
            f"effective of {self.n_sources}): this ranking is close to average rank."
        )

    @property
    def reasons(self) -> pl.DataFrame:
        """Three sources with the largest weight for each model, see `top_sources`."""
        return top_sources(self, 3)


def top_sources(ranking: Ranking, k: int) -> pl.DataFrame:
    """Return the k sources with the largest weight for each model.

    Returns:
        rank, model, pretrained, source, weight; by rank, then by weight. No rows for a selector
        without weights.
    """
    columns = ["rank", *MODEL, "source", "weight"]
    if ranking.weights is None:
        names = dict.fromkeys([*MODEL, "source"], pl.String)
        return pl.DataFrame(schema={"rank": pl.UInt32, **names, "weight": pl.Float64})
    table = ranking.table.join(ranking.weights, on=MODEL).select(columns)
    ordered = table.sort("rank", "weight", "source", descending=[False, True, False])
    return ordered.group_by("rank", maintain_order=True).head(k).select(columns)


def make_ranking(
    problem: Problem,
    models: Sequence[ModelKey],
    scores: np.ndarray,
    weights: np.ndarray | None,
    left_out: Sequence[tuple[ModelKey, str]],
) -> Ranking:
    """Order models by score; ties by average rank over the sources, then by name.

    Args:
        problem: the target and its sources.
        models: the models scored.
        scores: (models,), lower is better; NaN leaves a model out.
        weights: (models, sources) or None.
        left_out: models left out before, with reasons.

    Raises:
        SelectionError: no model has a score.
    """
    names = pl.DataFrame(list(models), schema=dict.fromkeys(MODEL, pl.String), orient="row")
    scored = names.with_columns(
        target=pl.lit(problem.target),
        score=pl.Series(scores, dtype=pl.Float64),
        tie=pl.Series(problem.arrays.average_rank_of(models), dtype=pl.Float64),
    )
    ranked = (
        scored.filter(pl.col("score").is_finite())
        .sort(
            pl.col("score").round(TIE_DECIMALS),
            pl.col("tie").round(TIE_DECIMALS),
            *MODEL,
            nulls_last=True,
        )
        .with_row_index("rank", offset=1)
        .select("target", "rank", *MODEL, "score")
    )
    reasons = [(*key, why) for key, why in left_out]
    reasons += [
        (*key, "no score")
        for key, score in zip(models, scores, strict=True)
        if not np.isfinite(score)
    ]
    if ranked.is_empty():
        why = reasons[0][-1] if reasons else "no accuracy is known"
        raise SelectionError(f"no model can be ranked for {problem.target}: {why}")
    table = None if weights is None else _weight_table(names, problem.sources, weights)
    return _with_diagnosis(problem, ranked, table, reasons)


def _weight_table(names: pl.DataFrame, sources: Sequence[str], weights: np.ndarray) -> pl.DataFrame:
    columns = pl.DataFrame({"source": list(sources)}, schema={"source": pl.String})
    cells = names.join(columns, how="cross", maintain_order="left_right")
    return cells.with_columns(weight=pl.Series(weights.reshape(-1))).filter(
        pl.col("weight").is_finite()
    )


def _with_diagnosis(
    problem: Problem,
    table: pl.DataFrame,
    weights: pl.DataFrame | None,
    reasons: Sequence[tuple[str, str, str]],
) -> Ranking:
    left_out = pl.DataFrame(
        list(reasons), schema=dict.fromkeys([*MODEL, "reason"], pl.String), orient="row"
    )
    effective, near = None, False
    if weights is not None:
        weights = weights.join(table, on=MODEL, how="semi", maintain_order="left")
        counts = effective_sources(weights.with_columns(target=pl.lit(problem.target)))
        effective = float(counts["effective"].to_numpy().mean())
        share = counts["effective"].to_numpy() / counts["n_sources"].to_numpy()
        near = len(problem.sources) > 1 and float(share.mean()) > NEAR_UNIFORM
    return Ranking(table, weights, effective, len(problem.sources), near, left_out)
