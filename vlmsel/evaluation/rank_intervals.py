"""Uncertainty of one ranking: the bootstrap over the images (and the sources) that it rests on.

Where only the target's images are drawn, their weighted means are one product of arrays, and a
selector scores them all in one expression (`Scorer.score_drawn`). Else every resample is a copy of
the zoo under other names, with its own profiles, and a selector scores all copies as the zoos of
its scorer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.paired_bootstrap import LEVEL
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.problem import Problem
from vlmsel.selection.problem_arrays import ProblemArrays
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.selector import Scores, Selector

COPY = "#"
# Weights of sources that are held at a time.
BATCH_WEIGHTS = 8_000_000


@dataclass(frozen=True)
class Resampling:
    """Settings of a bootstrap: what every resample draws again.

    Attributes:
        n: number of resamples.
        source_images: draw the images of the sources too, not only those of the target.
        source_tasks: draw the source tasks too; a task that is drawn twice counts once.
        seed: equal seeds give equal draws.
    """

    n: int = 500
    source_images: bool = False
    source_tasks: bool = False
    seed: int = 0


def rank_intervals(
    selector: Selector,
    problem: Problem,
    images: pl.DataFrame | None,
    *,
    top: int = 5,
    resampling: Resampling | None = None,
) -> pl.DataFrame:
    """Interval of every model's rank and its probability of being in the top.

    The same drawn images serve all models. A selector that looks at no images has intervals of
    width 0 unless the source tasks are drawn too.

    Args:
        selector: makes the ranking.
        problem: target, sources and accuracies; its profiles are replaced by those of `images`.
        images: long profiles with image_id, of the target and all sources; None for a selector
            that needs none.
        top: k of p_top.
        resampling: 500 resamples of the target's images when None.

    Returns:
        rank, model, pretrained, score, rank_low, rank_high (95 %), p_top: the share of resamples in
        which the model is among the first `top`.

    Raises:
        SelectionError: The target has fewer than two images, or the selector refuses the problem.
    """
    how = resampling or Resampling()
    rng = np.random.default_rng(how.seed)
    if images is not None:
        problem = replace(problem, profiles=task_profiles(images))
    ranking = selector.rank(problem)
    models = ranking.table.select(MODEL).rows()
    scorer = selector.prepare(problem)
    target_alone = not (how.source_images or how.source_tasks)
    if images is not None and target_alone and scorer.score_drawn is not None:
        drawn = _draw_targets(problem, images, how.n, rng)
        row_of = {key: row for row, key in enumerate(scorer.models)}
        scores = _score_batches(scorer.score_drawn, drawn, len(problem.sources))
        scores = scores[:, [row_of[key] for key in models]]
    else:
        scores = _scores_of_copies(selector, problem, images, models, how, rng)
    # Models stand in the order of the ranking, which breaks the ties of a resample.
    order = np.argsort(np.round(scores, 9), axis=1, kind="stable")
    places = np.argsort(order, axis=1) + 1
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(places, [tail, 1 - tail], axis=0, method="inverted_cdf")
    return ranking.table.select("rank", *MODEL, "score").with_columns(
        rank_low=pl.Series(low, dtype=pl.Int64),
        rank_high=pl.Series(high, dtype=pl.Int64),
        p_top=pl.Series((places <= top).mean(axis=0)),
    )


def _score_batches(
    score: Callable[[np.ndarray], Scores], drawn: np.ndarray, n_sources: int
) -> np.ndarray:
    """Scores of many draws, as many at a time as fit into memory."""
    size = max(1, BATCH_WEIGHTS // max(1, drawn.shape[1] * n_sources))
    batches = [score(drawn[at : at + size]).values for at in range(0, len(drawn), size)]
    return np.concatenate(batches)


def _draw_targets(
    problem: Problem, images: pl.DataFrame, n: int, rng: np.random.Generator
) -> np.ndarray:
    """The target's profiles under n draws of its images, (draws, models, blocks)."""
    measured = images.filter(pl.col("conductance").is_not_null(), task=problem.target)
    values = _image_grid(measured, problem.arrays)
    n_images = values.shape[1]
    if n_images < 2:
        raise _few_images_error(problem, n_images)
    known = np.isfinite(values[..., 0])
    weight = rng.multinomial(n_images, np.full(n_images, 1 / n_images), n) * known[:, None]
    # A draw without any image that this model has measured falls back to all of them.
    weight = np.where(weight.any(axis=-1, keepdims=True), weight, known[:, None]).astype(float)
    total = weight.sum(axis=-1, keepdims=True)
    mean = weight @ np.nan_to_num(values) / np.where(total > 0, total, np.nan)
    return mean.swapaxes(0, 1)


def _image_grid(measured: pl.DataFrame, arrays: ProblemArrays) -> np.ndarray:
    """Conductances as (models, images, blocks): NaN where not measured, zeros behind the blocks."""
    names = measured["image_id"].unique().sort().to_frame().with_row_index("_image")
    schema = dict.fromkeys(MODEL, pl.String)
    models = pl.DataFrame(list(arrays.models), schema=schema, orient="row").with_row_index("_model")
    rows = measured.join(names, on="image_id").join(models, on=MODEL)
    place = [rows[name].to_numpy() for name in ("_model", "_image")]
    block = rows.select(pl.col("block").rank("dense").over(MODEL) - 1).to_series().to_numpy()
    width = int(arrays.grid.n_blocks.max(initial=1))
    values = np.zeros((len(models), len(names), width))
    known = np.zeros(values.shape[:2], dtype=bool)
    known[*place] = True
    values[*place, block] = rows["conductance"].cast(pl.Float64).to_numpy()
    values[~known] = np.nan
    return values


def _scores_of_copies(
    selector: Selector,
    problem: Problem,
    images: pl.DataFrame | None,
    models: Sequence[ModelKey],
    how: Resampling,
    rng: np.random.Generator,
) -> np.ndarray:
    """Scores of the models in every resample, (resamples, models)."""
    scorer = selector.prepare(_copies(problem, images, how, rng))
    row_of = {key: row for row, key in enumerate(scorer.models)}
    zoos = np.array([[row_of[name, _copy(tag, b)] for name, tag in models] for b in range(how.n)])
    return scorer.score(zoos).values


def _copies(
    problem: Problem, images: pl.DataFrame | None, how: Resampling, rng: np.random.Generator
) -> Problem:
    """The problem with every model in n copies."""
    drawn = pl.DataFrame({"_b": range(how.n)})
    accuracies = _copy_rows(problem.accuracies, drawn)
    if how.source_tasks:
        silent = _silent_sources(problem.sources, how.n, rng)
        accuracies = accuracies.join(silent, on=["_b", "task"], how="anti")
    profiles = None
    if images is not None:
        profiles = _draw_profiles(problem, images, how, rng)
    truth = None if problem.truth is None else _copy_rows(problem.truth, drawn).drop("_b")
    return replace(problem, accuracies=accuracies.drop("_b"), profiles=profiles, truth=truth)


def _copy(pretrained: str, b: int) -> str:
    return f"{pretrained}{COPY}{b}"


def _copy_rows(frame: pl.DataFrame, drawn: pl.DataFrame) -> pl.DataFrame:
    name = pl.format("{}" + COPY + "{}", "pretrained", "_b")
    return frame.join(drawn, how="cross").with_columns(pretrained=name)


def _silent_sources(sources: tuple[str, ...], n: int, rng: np.random.Generator) -> pl.DataFrame:
    """The sources that each resample did not draw: _b, task."""
    count = rng.multinomial(len(sources), np.full(len(sources), 1 / len(sources)), n)
    b, column = np.nonzero(count == 0)
    return pl.DataFrame({"_b": b, "task": np.array(sources)[column]})


def _draw_profiles(
    problem: Problem, images: pl.DataFrame, how: Resampling, rng: np.random.Generator
) -> pl.DataFrame:
    """Task profiles of all copies."""
    measured = images.filter(pl.col("conductance").is_not_null())
    n_images = measured.filter(pl.col("task") == problem.target)["image_id"].n_unique()
    if n_images < 2:
        raise _few_images_error(problem, n_images)
    parts = []
    for (task,), rows in sorted(measured.group_by("task")):
        if task == problem.target or how.source_images:
            parts += _draw_weighted_means(rows, how.n, rng)
    fixed = problem.profiles
    if fixed is not None and not how.source_images:
        sources = fixed.filter(pl.col("task") != problem.target)
        parts.append(_copy_rows(sources, pl.DataFrame({"_b": range(how.n)})).drop("_b"))
    return pl.concat(parts, how="vertical")


def _few_images_error(problem: Problem, n_images: int) -> SelectionError:
    return SelectionError(
        f"{problem.target} has {n_images} measured image(s); an interval needs at least 2"
    )


def _draw_weighted_means(
    rows: pl.DataFrame, n: int, rng: np.random.Generator
) -> list[pl.DataFrame]:
    """The profile of every model on one task, under n draws of its images."""
    names = rows["image_id"].unique().sort()
    count = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), n).astype(float)
    parts = []
    for (model, pretrained), model_rows in sorted(rows.group_by(*MODEL)):
        wide = model_rows.sort("block").pivot("block", index="image_id", values="conductance")
        wide = wide.join(names.to_frame(), on="image_id", how="right", maintain_order="right")
        values = wide.drop("image_id").to_numpy()
        known = np.isfinite(values[:, 0])
        weight = count * known
        # A draw without any image that this model has measured falls back to all of them.
        weight[weight.sum(1) == 0] = known
        mean = weight @ np.where(known[:, None], values, 0.0) / weight.sum(1, keepdims=True)
        parts.append(
            pl.DataFrame(
                {
                    "model": [model] * n,
                    "pretrained": [_copy(pretrained, b) for b in range(n)],
                    "task": [rows["task"][0]] * n,
                    "profile": mean.tolist(),
                }
            )
        )
    return parts
