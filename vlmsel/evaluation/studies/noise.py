"""Noise in the source profiles, and off-task images of the target, that a selector bears."""

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.evaluation.held_out import HeldOut, HeldOutTasks
from vlmsel.evaluation.studies.study_data import StudyData, evaluate_conditions, with_profiles

SIGMAS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75)


def source_noise(data: StudyData) -> pl.DataFrame:
    """Leave-one-out with every entry of the source profiles times exp(sigma * z), z ~ N(0, 1).

    Returns:
        sigma, then the summary's columns.
    """
    held_out = data.held_out
    rng = np.random.default_rng(data.seed)
    conditions = (
        ({"sigma": sigma}, with_noise(held_out, sigma, rng))
        for sigma in SIGMAS
        for _ in range(data.repeats if sigma else 1)
    )
    return evaluate_conditions(conditions, data.selectors)


def with_noise(
    held_out: HeldOutTasks, sigma: float, rng: np.random.Generator, *, on_target: bool = False
) -> HeldOutTasks:
    """The same targets with every entry of some profiles times exp(sigma * z), z ~ N(0, 1).

    Args:
        held_out: as of `hold_out`, with profiles.
        sigma: of the noise.
        rng: where it is drawn from.
        on_target: on the target's profiles, not on those of the sources.
    """

    def noisy(target: HeldOut, profiles: pl.DataFrame) -> pl.DataFrame:
        factor = pl.Series(
            "_factor",
            [np.exp(sigma * rng.normal(size=n)).tolist() for n in profiles["profile"].list.len()],
            dtype=pl.List(pl.Float64),
        )
        is_target = pl.col("task") == target.problem.target
        changed = (
            pl.when(is_target if on_target else ~is_target)
            .then(pl.col("profile") * factor)
            .otherwise("profile")
        )
        return profiles.sort(*MODEL, "task").with_columns(profile=changed)

    return with_profiles(held_out, noisy)


def off_task_images(data: StudyData) -> pl.DataFrame:
    """Leave-one-out with a share of the target's images taken from one other random task.

    A profile is a mean over images, so the mixed one is (1 - share) * own + share * other.

    Returns:
        share, then the summary's columns.
    """
    held_out = data.held_out
    rng = np.random.default_rng(data.seed)

    def mixed(target: HeldOut, profiles: pl.DataFrame, share: float) -> pl.DataFrame:
        stray = rng.choice(target.problem.sources)
        other = profiles.filter(pl.col("task") == stray).select(*MODEL, _other="profile")
        blend = (1 - share) * pl.col("profile") + share * pl.col("_other")
        is_mixed = (pl.col("task") == target.problem.target) & pl.col("_other").is_not_null()
        joined = profiles.join(other, on=MODEL, how="left", maintain_order="left")
        return joined.with_columns(profile=pl.when(is_mixed).then(blend).otherwise("profile")).drop(
            "_other"
        )

    conditions = (
        ({"share": share}, with_profiles(held_out, lambda o, p, s=share: mixed(o, p, s)))
        for share in SHARES
        for _ in range(data.repeats if share else 1)
    )
    return evaluate_conditions(conditions, data.selectors)
