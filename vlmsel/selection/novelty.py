"""Novelty of a target: its nearest source against the sources' own nearest.

A similarity always sums to 1 over the sources, also for images unlike all of them: noise, another
kind of picture, photographs before a zoo that knows drawings. What shows is the distance itself,
and whole sets of images are compared, not their means: a mixture of everything has the mean of many
a source. The distance is the energy distance of two samples (Szekely and Rizzo 2004),
2 E|X - Y| - E|X - X'| - E|Y - Y'|, of profiles as shares of their sum in units of each block's
spread, mean over models. It is told as a share of the median source's distance, so that it has no
unit, and compared with what is usual: the share that nine of ten sources stay below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from vlmsel.columns import MODEL

USUAL = 0.9
# More rows or models change the mean little and cost much: distances are of all pairs of rows.
MOST_ROWS, MOST_MODELS = 3000, 16
TINY = 1e-12


@dataclass(frozen=True)
class Novelty:
    """Distance of the nearest source.

    Attributes:
        nearest: the source at the smallest distance.
        distance: that distance as a share of the median source's; at most 0 where the two cannot be
            told apart.
        usual: nine of ten sources are as near as this to their own nearest.
    """

    nearest: str
    distance: float
    usual: float

    @property
    def notice(self) -> str | None:
        """The sentence to show when no source is as near as sources are to each other."""
        if self.distance <= self.usual:
            return None
        return (
            f"The images are unlike every source: the nearest, {self.nearest}, is at "
            f"{100 * self.distance:.0f} % of the distance of a usual source, and nine of ten "
            f"sources have one within {100 * max(0.0, self.usual):.0f} %. The ranking and its "
            "intervals rest on tasks like the sources: do not trust them here."
        )


def novelty(profiles: pl.DataFrame, target: str) -> Novelty | None:
    """Compare a target's nearest source with the sources' own nearest ones.

    Args:
        profiles: long profiles or `task_profiles` of the target and at least two sources.
        target: the task to judge.

    Returns:
        None where there are fewer than two sources, or no model has profiles of all of them.
    """
    tasks = [target, *sorted(set(profiles["task"]) - {target})]
    if len(tasks) < 3:
        return None
    found = np.zeros((len(tasks), len(tasks)))
    n_models = np.zeros_like(found)
    for rows in _choose_models(profiles, target):
        distance = _energy_distances(rows, tasks)
        known = np.isfinite(distance)
        found += np.where(known, distance, 0.0)
        n_models += known
    if not n_models[0, 1:].any():
        return None
    mean = np.where(n_models > 0, found / np.maximum(n_models, 1), np.nan)
    np.fill_diagonal(mean, np.nan)
    sources = mean[:, 1:]
    shares = np.array([_nearest_share(row) for row in sources])
    distances = shares[1:][np.isfinite(shares[1:])]
    if not len(distances):
        return None
    nearest = tasks[1 + int(np.nanargmin(sources[0]))]
    return Novelty(nearest, float(shares[0]), float(np.quantile(distances, USUAL)))


def _nearest_share(distances: np.ndarray) -> float:
    """Smallest distance as a share of the median one; NaN where there are fewer than two."""
    known = distances[np.isfinite(distances)]
    if len(known) < 2:
        return float("nan")
    middle = float(np.median(known))
    return float(known.min() / middle) if middle > TINY else 0.0


def _choose_models(profiles: pl.DataFrame, target: str) -> list[pl.DataFrame]:
    """Rows of some models that know the target: task and a profile per image, by task and image."""
    named = profiles.filter(task=target).select(MODEL).unique().sort(MODEL)
    step = max(1, -(-named.height // MOST_MODELS))
    kept = profiles.join(named.gather_every(step), on=MODEL, how="semi", maintain_order="left")
    return [_rows(part) for part in kept.partition_by(MODEL, maintain_order=True)]


def _rows(profiles: pl.DataFrame) -> pl.DataFrame:
    if "profile" in profiles.columns:
        return profiles.select("task", "profile").sort("task")
    image = ["image_id"] if "image_id" in profiles.columns else []
    measured = profiles.filter(pl.col("conductance").is_not_null())
    rows = (
        measured.sort("task", *image, "block")
        .group_by("task", *image, maintain_order=True)
        .agg(profile="conductance")
    )
    most = max(4, MOST_ROWS // max(1, rows["task"].n_unique()))
    return rows.group_by("task", maintain_order=True).head(most).select("task", "profile")


def _energy_distances(rows: pl.DataFrame, tasks: Sequence[str]) -> np.ndarray:
    """Unbiased energy distances between the tasks' samples, NaN where a task has none."""
    # Imported here: it takes a moment, and most commands rank nothing.
    from scipy.spatial.distance import cdist

    values = np.array(rows["profile"].to_list(), dtype=np.float64)
    shares = values / np.maximum(np.abs(values).sum(axis=1, keepdims=True), TINY)
    of_target = (rows["task"] == tasks[0]).to_numpy()
    spread = shares[~of_target].std(axis=0) if (~of_target).any() else np.zeros(values.shape[1])
    points = shares / np.where(spread > TINY, spread, 1.0)
    belongs = np.stack([(rows["task"] == task).to_numpy() for task in tasks]).astype(np.float64)
    n_images = belongs.sum(axis=1)
    weights = belongs / np.maximum(n_images, 1)[:, None]
    between = weights @ cdist(points, points) @ weights.T
    # A point's distance to itself is no pair: n (n - 1) pairs are left. One image has no spread.
    within = np.diag(between) * n_images / np.maximum(n_images - 1, 1)
    distance = 2 * between - within[:, None] - within[None, :]
    empty = n_images == 0
    distance[empty, :] = np.nan
    distance[:, empty] = np.nan
    return distance
