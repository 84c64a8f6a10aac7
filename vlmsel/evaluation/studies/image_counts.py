"""Number of images that a profile needs, of the target and of the sources."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import HeldOut, HeldOutTasks
from vlmsel.evaluation.studies.study_data import (
    Condition,
    StudyData,
    evaluate_conditions,
    swap_task,
    with_profiles,
)
from vlmsel.selection.profiles import task_profiles

COUNTS = (1, 2, 3, 5, 10, 15, 25, 50, 100)


def number_of_images(data: StudyData) -> pl.DataFrame:
    """Leave-one-out with n random images of the target, or of every source, and all of the rest.

    Returns:
        side ("target" or "sources"), n_images, then the summary's columns.

    Raises:
        SelectionError: Some task has only one image.
    """
    long = _select_shared_images(data.reference)
    available = long.group_by("task").agg(pl.col("image_id").n_unique())
    most = int(available["image_id"].to_numpy().min())
    if most < 2:
        task = available.sort("image_id", "task")["task"][0]
        msg = f"{task} has fewer than 2 images that every model measured; profile more of them"
        raise SelectionError(msg)
    counts = [*(count for count in COUNTS if count < most), most]
    return evaluate_conditions(_conditions(data, long, counts), data.selectors)


def _select_shared_images(profiles: pl.DataFrame) -> pl.DataFrame:
    """The measured rows of the images that as many models as possible share, task by task."""
    if "image_id" not in profiles.columns:
        profiles = profiles.with_columns(image_id=pl.lit("0"))
    measured = profiles.filter(pl.col("conductance").is_not_null())
    models = pl.struct(MODEL).n_unique()
    shared = measured.group_by("task", "image_id").agg(_n=models)
    shared = shared.filter(pl.col("_n") == pl.col("_n").max().over("task"))
    return measured.join(shared, on=["task", "image_id"], how="semi")


def _conditions(
    data: StudyData, long: pl.DataFrame, counts: list[int]
) -> Iterator[tuple[Condition, HeldOutTasks]]:
    held_out, rng = data.held_out, np.random.default_rng(data.seed)

    def few_of_target(target: HeldOut, full: pl.DataFrame) -> pl.DataFrame:
        return swap_task(full, few, target.problem.target)

    def few_of_sources(target: HeldOut, full: pl.DataFrame) -> pl.DataFrame:
        same = few.join(full, on=[*MODEL, "task"], how="semi")
        return swap_task(same, full, target.problem.target)

    for n in counts:
        for _ in range(data.repeats):
            few = task_profiles(_draw_images(long, n, rng))
            yield {"side": "target", "n_images": n}, with_profiles(held_out, few_of_target)
            yield {"side": "sources", "n_images": n}, with_profiles(held_out, few_of_sources)


def _draw_images(long: pl.DataFrame, n: int, rng: np.random.Generator) -> pl.DataFrame:
    """The rows of n random images of every task, the same for all models."""
    parts = []
    for (task,), rows in sorted(long.group_by("task"), key=lambda part: part[0]):
        names = rows["image_id"].unique().sort().to_numpy()
        chosen = rng.choice(names, n, replace=False)
        parts.append(pl.DataFrame({"task": [task] * n, "image_id": chosen}))
    return long.join(pl.concat(parts), on=["task", "image_id"], how="semi")
