"""The honest interval of a ranking: how far true ranks lay from predicted ones in leave-one-out.

A bootstrap over the target's images says how much the ranking depends on which images were drawn;
it is narrow even where the method is wrong. Here the errors that the selector really made on the
known tasks are laid around each place (split conformal prediction with tasks as the exchangeable
units). The errors of the neighbouring places count too: one place of a few dozen tasks has few.
"""

import numpy as np
import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.metrics import TOP
from vlmsel.evaluation.paired import LEVEL

NEIGHBOURS = 1


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
    own = result.rankings.filter(selector=selector)
    if own.is_empty():
        msg = f"leave-one-out has no ranking by {selector!r} to calibrate with"
        raise SelectionError(msg)
    errors = own.select(
        place=_scaled(pl.col("rank"), n_models),
        truth=_scaled(pl.col("accuracy").rank("average", descending=True), n_models),
    ).to_numpy()
    # Places of a small zoo lie far apart when it is stretched to a large one.
    sizes = own.group_by("target").len()["len"].to_numpy()
    stretch = max(1.0, (n_models - 1) / max(1.0, float(np.median(sizes)) - 1))
    width = (NEIGHBOURS + 0.5) * stretch
    rows = [_place(rank, errors, n_models, top, width) for rank in range(1, n_models + 1)]
    names = ["rank", "true_low", "true_high", "p_top", "n_errors"]
    return pl.DataFrame(rows, schema=names, orient="row").cast({"rank": pl.UInt32})


def _scaled(rank: pl.Expr, n_models: int) -> pl.Expr:
    """Places 1 .. k of each target's zoo stretched to 1 .. n_models."""
    size = pl.len().over("target")
    return 1 + (rank.over("target") - 1) * (n_models - 1) / (size - 1)


def _place(
    rank: int, errors: np.ndarray, n_models: int, top: int, width: float
) -> tuple[int, int, int, float, int]:
    distance = np.abs(errors[:, 0] - rank)
    near = distance <= max(width, distance.min())
    truth = np.clip(rank + (errors[near, 1] - errors[near, 0]), 1, n_models)
    tail = (1 - LEVEL) / 2
    low = np.quantile(truth, tail, method="lower")
    high = np.quantile(truth, 1 - tail, method="higher")
    share = float((truth < top + 1).mean())
    return rank, int(np.floor(low)), int(np.ceil(high)), share, int(near.sum())
