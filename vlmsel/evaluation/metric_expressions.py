"""The metrics of `metrics` again, as polars expressions over whole columns of rankings.

A row is one ranking: `truth` and `score` are arrays over the same models, null in both where a
model is not in the zoo. Definitions, ties and short zoos are those of `metrics`, which tests hold
it to.
"""

import math
from itertools import combinations

import polars as pl

from vlmsel.evaluation.metrics import TOP
from vlmsel.selection.ranking import TIE_DECIMALS

X = pl.element()
BEYOND = 1e9  # added to a rank so that it comes after all real ones


def with_metrics(rankings: pl.LazyFrame, n_models: int) -> pl.LazyFrame:
    """Add one column per metric.

    Args:
        rankings: rows with `truth` and `score`, both Array(Float64, n_models).
        n_models: length of the arrays.
    """
    truth, score = pl.col("truth"), pl.col("score")
    ranked = rankings.with_columns(score=score.arr.eval(X.round(TIE_DECIMALS))).with_columns(
        _place=score.arr.eval(X.rank("ordinal").cast(pl.Float64)),
        _n=truth.arr.eval(X.is_not_null().cast(pl.Float64)).arr.sum(),
    )
    # Tied accuracies follow the predicted order.
    true_order = truth.arr.eval((-X).rank("dense") * BEYOND) + pl.col("_place")
    placed = ranked.with_columns(_true_place=true_order.arr.eval(X.rank("ordinal") * 1.0))
    marked = placed.with_columns(_common=_is_in_top("_place") * _is_in_top("_true_place"))
    measured = marked.with_columns(
        ndcg5_paper=_ndcg5_paper(),
        ndcg5=_ndcg5(),
        recall5=pl.col("_common").arr.sum() / pl.min_horizontal(pl.lit(float(TOP)), "_n"),
        tau5=_tau5(),
        tau=_tau(n_models),
        regret1=truth.arr.max() - truth.arr.dot(_is_at(1)),
    )
    return measured.drop("_place", "_true_place", "_n", "_common")


def _is_in_top(place: str) -> pl.Expr:
    return pl.col(place).arr.eval((X <= TOP).cast(pl.Float64).fill_null(0.0))


def _is_at(place: int) -> pl.Expr:
    """1 at the model that was predicted for this place."""
    return pl.col("_place").arr.eval(X.eq(place).cast(pl.Float64))


def _discount(place: pl.Expr) -> pl.Expr:
    return place.arr.eval(1 / (X + 1).log(2))


def _ndcg5_paper() -> pl.Expr:
    common = pl.col("_common")
    k = common.arr.sum()
    # Places inside the overlap: everything outside it is pushed behind.
    inside, true_inside = (
        (pl.col(place) + (1 - common) * BEYOND).arr.eval(X.rank("ordinal").cast(pl.Float64))
        for place in ("_place", "_true_place")
    )
    relevance = (k + 1 - true_inside) * common
    value = relevance.arr.dot(_discount(inside)) / relevance.arr.dot(_discount(true_inside))
    return pl.when(k >= 2).then(value).otherwise(0.0)


def _ndcg5() -> pl.Expr:
    truth = pl.col("truth")
    relevance = truth.arr.eval(X - X.min())
    low, high = X.rank("min"), X.rank("max")
    # Tied models share the discounts of the places that they fill together.
    shared = sum(
        (((low <= i) & (i <= high)).cast(pl.Float64) / math.log2(i + 1) for i in range(1, TOP + 1)),
        start=pl.lit(0.0),
    ) / (high - low + 1)
    ideal = _discount(pl.col("_true_place")) * _is_in_top("_true_place")
    value = relevance.arr.dot(pl.col("score").arr.eval(shared)) / relevance.arr.dot(ideal)
    return pl.when(truth.arr.max() > truth.arr.min()).then(value).otherwise(1.0)


def _tau(n_models: int) -> pl.Expr:
    """Tau-b over the zoo: ordered pairs that agree against those that are not tied."""
    agree = pl.sum_horizontal(
        _signs("truth", i).arr.dot(_signs("score", i)) for i in range(n_models)
    )
    return _tau_b(agree, _count_untied("truth"), _count_untied("score"))


def _signs(column: str, i: int) -> pl.Expr:
    """Sign of the difference of every model to model i; null, which adds nothing, if unknown."""
    side = pl.col(column)
    return (side - side.arr.get(i)).arr.eval(X.sign())


def _count_untied(column: str) -> pl.Expr:
    """Ordered pairs that are not tied: n^2 less the size of the tie group of each model."""
    ties = pl.col(column).arr.eval((X.rank("max") - X.rank("min") + 1).cast(pl.Float64))
    return pl.col("_n") ** 2 - ties.arr.sum()


def _tau5() -> pl.Expr:
    """Tau-b over the overlap, pair by pair of the five predicted places."""
    slots = [
        tuple(pl.col(name).arr.dot(at) for name in ("truth", "score", "_common"))
        for at in map(_is_at, range(1, TOP + 1))
    ]
    agree, in_truth, in_score = [], [], []
    for (a, s, in_first), (b, t, in_second) in combinations(slots, 2):
        in_pair, by_truth, by_score = in_first * in_second, (a - b).sign(), (s - t).sign()
        agree.append(in_pair * by_truth * by_score)
        in_truth.append(in_pair * by_truth.abs())
        in_score.append(in_pair * by_score.abs())
    value = _tau_b(*(pl.sum_horizontal(side) for side in (agree, in_truth, in_score)))
    return pl.when(pl.col("_common").arr.sum() > 2).then(value).otherwise(0.0)


def _tau_b(agree: pl.Expr, in_truth: pl.Expr, in_score: pl.Expr) -> pl.Expr:
    pairs = in_truth * in_score
    # Lower scores are better: agreement is a negative product.
    return pl.when(pairs > 0).then(-agree / pairs.sqrt()).otherwise(0.0)
