"""The eta x gamma sweep of DCD: every grid point a whole leave-one-out, all in one polars query.

The tables are dense: rows hold arrays over blocks, then over sources, then over the zoo, so that a
grid of 400 points is array arithmetic on few rows and no large join. Every point is what
`leave_one_out([make_selector("dcd", eta=..., gamma=...)], ...)` gives; a test holds it to 1e-9.
"""

import math
from collections.abc import Sequence

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.dense_grids import (
    divergence_columns,
    held_out_grid,
    ranking_rows,
    truth_rows,
)
from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.metric_expressions import with_metrics
from vlmsel.evaluation.metrics import METRICS
from vlmsel.selection.dcd_table import EpsMode
from vlmsel.selection.similarity import Scale


def sweep(
    accuracies: pl.DataFrame,
    profiles: pl.DataFrame | pl.LazyFrame,
    *,
    etas: Sequence[float],
    gammas: Sequence[float],
    scale: Scale = "none",
    pooled: bool = False,
    eps: float = 1e-8,
    eps_mode: EpsMode = "absolute",
) -> pl.DataFrame:
    """Every metric of the DCD selector on every target, over a grid of eta and gamma.

    Memory grows as targets x models x sources x etas: 25 MB for 48 models, 21 tasks and 20 etas.

    Args:
        accuracies: model, pretrained, task, acc1; see `hold_out`.
        profiles: long profiles or `task_profiles` of them.
        etas: sharpnesses of the block importance.
        gammas: sharpnesses of the similarity, at least 0.
        scale: unit of the divergence, see `similarity`.
        pooled: one vector of weights a target, see `similarity`.
        eps: floor of DCD's denominators.
        eps_mode: "relative" takes eps times the mean of the target's profile.

    Returns:
        eta, gamma, target, metric, value; `sweep_means` averages over targets.

    Raises:
        SelectionError: The grid is empty or impossible, or no task can be held out.
    """
    eta_of, gamma_of = _axis("eta", etas), _axis("gamma", gammas)
    if min(gamma_of.values()) < 0:
        msg = f"gamma must be at least 0, got {min(gamma_of.values()):g}"
        raise SelectionError(msg)
    grid = held_out_grid(hold_out(accuracies, profiles))
    far = divergence_columns(grid, eta_of, eps=eps, eps_mode=eps_mode, scale=scale, pooled=pooled)
    rankings = ranking_rows(far, grid, list(eta_of), gamma_of).join(truth_rows(grid), on="target")
    keys = ["eta", "gamma", "target"]
    measured = with_metrics(rankings, grid.n_models).with_columns(
        pl.col("eta").replace_strict(eta_of, return_dtype=pl.Float64),
        pl.col("gamma").replace_strict(gamma_of, return_dtype=pl.Float64),
    )
    long = measured.unpivot(list(METRICS), index=keys, variable_name="metric")
    return long.sort(*keys, maintain_order=True).collect()


def sweep_means(points: pl.DataFrame) -> pl.DataFrame:
    """The mean over targets at every grid point: eta, gamma, metric, value, n_targets."""
    return points.group_by("eta", "gamma", "metric", maintain_order=True).agg(
        pl.col("value").mean(), n_targets=pl.len()
    )


def _axis(name: str, values: Sequence[float]) -> dict[str, float]:
    """Column names for the values of one axis."""
    numbers = sorted({float(value) for value in values})
    if not numbers or not all(map(math.isfinite, numbers)):
        msg = f"the sweep needs at least one finite {name}, got {list(values)}"
        raise SelectionError(msg)
    return {f"{name}{i}": value for i, value in enumerate(numbers)}
