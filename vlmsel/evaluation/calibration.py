"""The honest interval of a ranking: how far true ranks lay from predicted ones in leave-one-out.

A bootstrap over the target's images says how much the ranking depends on which images were drawn;
it is narrow even where the method is wrong. Here the errors that the selector really made on the
known tasks are laid around each place (split conformal prediction with tasks as the exchangeable
units). The errors of the neighbouring places count too: one place of a few dozen tasks has few.
"""

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.metrics import TOP
from vlmsel.evaluation.paired_bootstrap import LEVEL, paired_bootstrap

NEIGHBOURS = 1
ROUNDING = 1e-9


def calibrated_ranks(
    result: LeaveOneOut, selector: str, n_models: int, *, top: int = TOP
) -> pl.DataFrame:
    """For every place of a ranking, where the true rank of its model is to be expected.

    Args:
        result: leave-one-out over the known tasks.
        selector: whose errors count.
        n_models: places of the ranking to calibrate; errors made in a zoo of another size are
            scaled to it.
        top: k of p_top.

    Returns:
        rank (1 .. n_models), true_low, true_high (the central 95 % of the true ranks, widened to
        whole places), p_top (share in which the model was truly among the first `top`), n_errors.

    Raises:
        SelectionError: the selector has ranked no task.
    """
    rankings = _rankings(result, selector)
    names = ["rank", "true_low", "true_high", "p_top", "n_errors"]
    rows = _places(rankings, n_models, top)
    return pl.DataFrame(rows, schema=names, orient="row").cast({"rank": pl.UInt32})


class Coverage(NamedTuple):
    """Coverage of intervals of true ranks on tasks that they were not made of.

    Attributes:
        share: of a task's models whose true rank lay in its interval; mean over tasks.
        low: lower end of the 95 % interval of `share` (bootstrap over tasks).
        high: upper end.
        first: width of the first choice's interval, as a share of the zoo's places, 0..1; mean over
            tasks.
    """

    share: float
    low: float
    high: float
    first: float


def held_out_coverage(
    result: LeaveOneOut, selector: str, *, n_bootstrap: int = 10_000, seed: int = 0
) -> Coverage | None:
    """Return how often the intervals hold: each task's are made of the other tasks' errors alone.

    The promise of `calibrated_ranks`, checked on the tasks at hand. The held-out task is still a
    source of the rankings in which those errors were made.

    Args:
        result: leave-one-out over the known tasks.
        selector: whose intervals are checked.
        n_bootstrap: resamples of the tasks.
        seed: equal seeds give equal intervals.

    Returns:
        The coverage; None where there is one task only.

    Raises:
        SelectionError: the selector has ranked no task.
    """
    rankings = _rankings(result, selector)
    tasks = rankings.partition_by("target", maintain_order=True)
    if len(tasks) < 2:
        return None
    rows: list[tuple[str, str, str, float]] = []
    for task in tasks:
        target = task["target"][0]
        others = rankings.filter(pl.col("target") != target)
        places = np.array(_places(others, task.height, TOP))[task["rank"].to_numpy() - 1]
        low, high = places[:, 1], places[:, 2]
        truth = task["accuracy"].rank("average", descending=True).to_numpy()
        first = int(task["rank"].arg_min() or 0)
        rows += [
            (selector, target, "share", ((low <= truth) & (truth <= high)).mean()),
            (selector, target, "first", (high - low + 1)[first] / task.height),
        ]
    values = pl.DataFrame(rows, schema=["selector", "target", "metric", "value"], orient="row")
    share, first = paired_bootstrap(
        values, n_bootstrap=n_bootstrap, seed=seed, baseline=selector
    ).iter_rows(named=True)
    return Coverage(share["mean"], share["low"], share["high"], first["mean"])


def _rankings(result: LeaveOneOut, selector: str) -> pl.DataFrame:
    rankings = result.rankings.filter(selector=selector)
    if rankings.is_empty():
        msg = f"leave-one-out has no ranking by {selector!r} to calibrate with"
        raise SelectionError(msg)
    return rankings


Place = tuple[int, int, int, float, int]


def _places(rankings: pl.DataFrame, n_models: int, top: int) -> list[Place]:
    """Rank, interval, share in the top and number of errors of every place."""
    errors = rankings.select(
        place=_scale_places(pl.col("rank"), n_models),
        truth=_scale_places(pl.col("accuracy").rank("average", descending=True), n_models),
    ).sort("place")
    place, truth = errors["place"].to_numpy(), errors["truth"].to_numpy()
    # Places of a small zoo lie far apart when it is stretched to a large one.
    sizes = rankings.group_by("target").len()["len"].to_numpy()
    stretch = max(1.0, (n_models - 1) / max(1.0, float(np.median(sizes)) - 1))
    width = (NEIGHBOURS + 0.5) * stretch
    return [_place(rank, place, truth, n_models, top, width) for rank in range(1, n_models + 1)]


def _scale_places(rank: pl.Expr, n_models: int) -> pl.Expr:
    """Places 1 .. k of each target's zoo stretched to 1 .. n_models."""
    size = pl.len().over("target")
    return 1 + (rank.over("target") - 1) * (n_models - 1) / (size - 1)


def _place(
    rank: int, place: np.ndarray, truth: np.ndarray, n_models: int, top: int, width: float
) -> Place:
    """One place, from the errors (sorted by `place`) that were made near it."""
    after = int(np.searchsorted(place, rank))
    nearest = np.abs(place[max(after - 1, 0) : after + 1] - rank).min()
    width = max(width, nearest)
    # Scaled places are fractions: what lies on the edge but for rounding is inside, on both sides.
    low, high = np.searchsorted(place, (rank - width - ROUNDING, rank + width + ROUNDING))
    found = np.sort(np.clip(rank + (truth[low:high] - place[low:high]), 1, n_models))
    # As `np.quantile` with "lower" and "higher", which takes ten times as long, a place and task.
    tail, last = (1 - LEVEL) / 2, len(found) - 1
    lowest = found[math.floor(last * tail)]
    highest = found[math.ceil(last * (1 - tail))]
    share = float((found < top + 1).mean())
    return rank, int(np.floor(lowest)), int(np.ceil(highest)), share, int(high - low)
