"""Plain distances between task profiles, to compare DCD with."""

from collections.abc import Callable
from typing import Literal

import polars as pl

from vlmsel.selection.profiles import MODEL, task_profiles

Distance = Literal["symmetric-l1", "cosine", "jensen-shannon"]


def profile_distances(profiles: pl.DataFrame, target: str, distance: Distance) -> pl.DataFrame:
    """Compare every other task's profile with the target's, model by model.

    Args:
        profiles: long rows or task profiles, see `task_profiles`.
        target: the task to compare with.
        distance: `symmetric-l1`, 2 sum|t - s| / sum(|t| + |s|): DCD without direction and without
            block importance; `cosine`, 1 - <t, s> / (||t|| ||s||); `jensen-shannon`,
            H((p + q) / 2) - (H(p) + H(q)) / 2 in nats, with p and q the absolute profiles over
            their sums.

    Returns:
        model, pretrained, source, target, dcd (the distance); sorted by model, pretrained, source.

    Raises:
        SelectionError: `task_profiles` refuses the profiles.
    """
    table = task_profiles(profiles)
    is_target = pl.col("task") == target
    targets = table.filter(is_target).select(*MODEL, target="task", t="profile")
    sources = table.filter(~is_target).select(*MODEL, source="task", s="profile")
    pairs = targets.join(sources, on=MODEL)
    value = DISTANCES[distance](pl.col("t"), pl.col("s"))
    return pairs.select(*MODEL, "source", "target", dcd=value).sort(*MODEL, "source")


def _total(x: pl.Expr) -> pl.Expr:
    """Sum of the absolute entries of each list."""
    return x.list.eval(pl.element().abs()).list.sum()


def _symmetric_l1(t: pl.Expr, s: pl.Expr) -> pl.Expr:
    return 2 * _total(t - s) / (_total(t) + _total(s))


def _cosine(t: pl.Expr, s: pl.Expr) -> pl.Expr:
    norms = [(x * x).list.sum().sqrt() for x in (t, s)]
    return 1 - (t * s).list.sum() / (norms[0] * norms[1])


def _jensen_shannon(t: pl.Expr, s: pl.Expr) -> pl.Expr:
    p, q = (x.list.eval(pl.element().abs() / pl.element().abs().sum()) for x in (t, s))
    mixed = _entropy((p + q) / 2)
    # Rounding can leave a difference just below zero where the profiles are the same.
    return (mixed - (_entropy(p) + _entropy(q)) / 2).clip(lower_bound=0.0)


def _entropy(x: pl.Expr) -> pl.Expr:
    e = pl.element()
    return -x.list.eval(pl.when(e > 0).then(e * e.log()).otherwise(0.0)).list.sum()


DISTANCES: dict[Distance, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "symmetric-l1": _symmetric_l1,
    "cosine": _cosine,
    "jensen-shannon": _jensen_shannon,
}
