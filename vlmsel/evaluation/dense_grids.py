"""Held-out tasks as full grids for the sweep: target x model x source, holes null.

A cross of the names gives every group the same length, so that a reshape turns rows into arrays
without a group-by. Polars' array functions skip nulls: a hole adds nothing to a sum.
"""

from dataclasses import dataclass
from typing import cast

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.evaluation.held_out import HeldOut, HeldOutTasks
from vlmsel.selection.dcd_table import EpsMode
from vlmsel.selection.knowledge import value_matrix
from vlmsel.selection.ranking import TIE_DECIMALS
from vlmsel.selection.score_arrays import zoo_ranks
from vlmsel.selection.similarity import FLAT, Scale

X = pl.element()


@dataclass(frozen=True)
class HeldOutGrid:
    """Three tables over the names of a leave-one-out.

    Attributes:
        zoo: target, model, pretrained, truth: all targets x all models, sorted by target, then
            average rank, then name, the order in which a ranking breaks ties; truth is null where
            a model is not in the target's zoo.
        sources: target, model, pretrained, source, rank: every source of the target for every
            model of its zoo; rank is null where the model is not known on the source.
        shapes: model, pretrained, task, profile (Array, nulls behind shorter profiles).
        n_models: length of the zoo.
        n_sources: number of task names, the target's own among them.
    """

    zoo: pl.LazyFrame
    sources: pl.LazyFrame
    shapes: pl.LazyFrame
    n_models: int
    n_sources: int


def held_out_grid(held_out: HeldOutTasks) -> HeldOutGrid:
    """Lay out the held-out tasks."""
    tasks = held_out.tasks
    sources = pl.concat(_source_ranks(task) for task in tasks)
    zoos = sources.group_by("target", *MODEL).agg(_tie=pl.col("rank").mean().round(TIE_DECIMALS))
    truth = pl.concat(
        task.truth.select(pl.lit(task.problem.target).alias("target"), *MODEL, truth="accuracy")
        for task in tasks
    )
    models = truth.select(MODEL).unique()
    zoo = truth.select("target").unique().join(models, how="cross")
    for known in (truth, zoos):
        zoo = zoo.join(known, on=["target", *MODEL], how="left")
    shapes = pl.concat(
        task.problem.profiles for task in tasks if task.problem.profiles is not None
    ).unique([*MODEL, "task"])
    width = cast(int, shapes["profile"].list.len().max())
    hole = pl.lit([None] * width, dtype=pl.List(pl.Float64))
    padded = pl.col("profile").list.concat(hole).list.head(width).list.to_array(width)
    return HeldOutGrid(
        zoo=zoo.sort("target", "_tie", *MODEL, nulls_last=True).drop("_tie").lazy(),
        sources=sources.lazy(),
        shapes=shapes.with_columns(padded).lazy(),
        n_models=len(models),
        n_sources=sources["source"].n_unique(),
    )


def divergence_columns(
    grid: HeldOutGrid,
    eta_of: dict[str, float],
    *,
    eps: float,
    eps_mode: EpsMode,
    scale: Scale,
    pooled: bool,
) -> pl.LazyFrame:
    """The unit-free divergence D of every source: one column per eta.

    Returns:
        target, model, pretrained, source, rank and the columns of `eta_of`: the full grid in this
        order; rank and D are null where the source says nothing of the model.
    """
    names = grid.sources.select("source").unique().sort("source")
    asked = grid.sources.with_columns(_asked=True)
    towards = _weigh_targets(grid.shapes, eta_of, eps, eps_mode)
    pairs = (
        grid.zoo.select("target", *MODEL)
        .join(names, how="cross", maintain_order="left_right")
        .join(asked, on=["target", *MODEL, "source"], how="left", maintain_order="left")
        .join(towards, on=["target", *MODEL], how="left", maintain_order="left")
        .join(
            grid.shapes.rename({"task": "source", "profile": "s"}),
            on=[*MODEL, "source"],
            how="left",
            maintain_order="left",
        )
    )
    is_source = pl.all_horizontal(pl.col("_asked", "t", "s").is_not_null())
    differences = pairs.with_columns(_apart=(pl.col("t") - pl.col("s")).arr.eval(X.abs()))
    far = differences.select(
        "target",
        *MODEL,
        "source",
        "rank",
        *(pl.when(is_source).then(pl.col("_apart").arr.dot(pl.col(n))).alias(n) for n in eta_of),
    )
    # Two steps, since polars does not nest windows.
    if scale == "spread":
        far = far.with_columns(_standardise(name) for name in eta_of)
    if pooled:
        far = far.with_columns(_pool(name) for name in eta_of)
    # A source that does not know the model's accuracy has no say.
    return far.with_columns(pl.when(pl.col("rank").is_not_null()).then(pl.col(*eta_of)))


def ranking_rows(
    far: pl.LazyFrame, grid: HeldOutGrid, etas: list[str], gamma_of: dict[str, float]
) -> pl.LazyFrame:
    """Weigh the ranks at every point of the sweep: one row per ranking.

    Args:
        far: of `divergence_columns`.
        grid: the zoo and its sources.
        etas: columns of `far`.
        gamma_of: names of the gammas and their values.

    Returns:
        eta, gamma (their names), target, score (Array over the zoo in the grid's order).
    """
    by_source = (pl.col(name).reshape((-1, grid.n_sources)) for name in ("rank", *etas))
    arrays = far.select(pl.col("target").gather_every(grid.n_sources), *by_source)
    # Unpivot promises no order of rows, so each row carries its place.
    long = arrays.with_row_index("_row").unpivot(
        etas, index=["target", "_row", "rank"], variable_name="eta", value_name="_d"
    )
    # Above its minimum, so that the nearest source never underflows.
    nearest = long.with_columns(pl.col("_d") - pl.col("_d").arr.min())
    scored = nearest.select(
        "eta", "target", "_row", *(_score(gamma).alias(name) for name, gamma in gamma_of.items())
    ).sort("eta", "_row")
    by_model = (pl.col(name).reshape((-1, grid.n_models)) for name in gamma_of)
    zoos = scored.select(pl.col("eta", "target").gather_every(grid.n_models), *by_model)
    return zoos.unpivot(
        list(gamma_of), index=["eta", "target"], variable_name="gamma", value_name="score"
    )


def truth_rows(grid: HeldOutGrid) -> pl.LazyFrame:
    """target, truth (Array over the zoo)."""
    return grid.zoo.select(
        pl.col("target").gather_every(grid.n_models),
        pl.col("truth").reshape((-1, grid.n_models)),
    )


def _weigh_targets(
    shapes: pl.LazyFrame, eta_of: dict[str, float], eps: float, eps_mode: EpsMode
) -> pl.LazyFrame:
    """target, model, pretrained, t, and alpha / (|t| + eps) for every eta."""
    t = pl.col("t")
    size = t.arr.eval(X.abs())
    floor = pl.lit(eps) if eps_mode == "absolute" else eps * size.arr.mean()
    hat = t / pl.max_horizontal(t.arr.dot(t).sqrt(), floor)
    raised = {name: (hat * eta).arr.eval((X - X.max()).exp()) for name, eta in eta_of.items()}
    return shapes.select("task", *MODEL, t="profile").select(
        "t",
        *MODEL,
        *((e / e.arr.sum() / (size + floor)).alias(name) for name, e in raised.items()),
        target="task",
    )


def _score(gamma: float) -> pl.Expr:
    weight = pl.col("_d").arr.eval((-gamma * X).exp())
    # 0 / 0, a model outside the zoo, becomes a hole.
    return (weight.arr.dot(pl.col("rank")) / weight.arr.sum()).fill_nan(None)


def _standardise(name: str) -> pl.Expr:
    d, over = pl.col(name), ["target", *MODEL]
    mean, std = d.mean().over(over), d.std(ddof=0).over(over)
    flat = pl.when(d.is_not_null()).then(0.0)
    return pl.when(std > FLAT * mean.abs()).then((d - mean) / std).otherwise(flat).alias(name)


def _pool(name: str) -> pl.Expr:
    d = pl.col(name)
    shared = d.mean().over("source", "target")
    return pl.when(d.is_not_null()).then(shared).alias(name)


def _source_ranks(task: HeldOut) -> pl.DataFrame:
    """target, model, pretrained, source, rank of every model of the zoo on every source."""
    zoo = task.truth.select(MODEL)
    sources = task.problem.sources
    ranks = zoo_ranks(value_matrix(task.problem.accuracies, "acc1", zoo.rows(), sources))
    cells = zoo.join(
        pl.DataFrame({"source": list(sources)}), how="cross", maintain_order="left_right"
    )
    return cells.select(
        pl.lit(task.problem.target).alias("target"),
        *MODEL,
        "source",
        rank=pl.Series(ranks.reshape(-1)).fill_nan(None),
    )
