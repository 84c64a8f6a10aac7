"""Tasks compared by their interaction vectors, within one model."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from vlmsel.columns import MODEL

# A vector that varies by less has no direction.
CONSTANT = 1e-12
# Over two layers every correlation is 1 or -1.
FEWEST_LAYERS = 3


@dataclass(frozen=True)
class Likeness:
    """Likeness of the tasks to one model.

    Attributes:
        model: model, pretrained.
        tasks: that are compared.
        layers: candidates that every task has.
        vectors: (tasks, layers).
        raw: (tasks, tasks), Pearson's r over the layers; NaN where a vector is constant.
        centred: the same after each layer's mean over the tasks is taken away.
        saturated: tasks that are left out: no layer changes them beyond noise.
    """

    model: tuple[str, str]
    tasks: tuple[str, ...]
    layers: tuple[str, ...]
    vectors: np.ndarray
    raw: np.ndarray
    centred: np.ndarray
    saturated: tuple[str, ...]


def compare_tasks(vectors: pl.DataFrame) -> list[Likeness]:
    """Compare the tasks of every model.

    Centred, all saturated tasks would become minus the mean and look alike, so they are left out:
    those of which the interval of every layer holds zero.

    Args:
        vectors: of `interaction_vectors`.
    """
    found = []
    for key, rows in sorted(vectors.group_by(MODEL), key=lambda group: group[0]):
        is_noise = ((pl.col("low") <= 0) & (pl.col("high") >= 0)).all()
        by_task = rows.group_by("task").agg(noise=is_noise).sort("task")
        saturated = by_task.filter("noise")["task"].to_list()
        tasks = by_task.filter(~pl.col("noise"))["task"].to_list()
        kept = rows.filter(pl.col("task").is_in(tasks))
        layers = _common_layers(kept, len(tasks))
        matrix = _matrix(kept, tasks, layers)
        model = (str(key[0]), str(key[1]))
        found.append(
            Likeness(
                model,
                tuple(tasks),
                tuple(layers),
                matrix,
                correlate(matrix),
                correlate(centre(matrix)),
                tuple(saturated),
            )
        )
    return found


def centre(vectors: np.ndarray) -> np.ndarray:
    """Take each layer's mean over the tasks away: the same early layers matter everywhere."""
    return vectors - vectors.mean(axis=0, keepdims=True) if len(vectors) else vectors


def correlate(vectors: np.ndarray) -> np.ndarray:
    """Pearson's r of every pair of rows; NaN where a row is constant, or of fewer than 3 layers.

    Args:
        vectors: (tasks, layers).
    """
    if vectors.shape[1] < FEWEST_LAYERS:
        return np.full((len(vectors), len(vectors)), np.nan)
    away = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(away, axis=1)
    known = norms > CONSTANT
    unit = np.where(known[:, None], away / np.where(known, norms, 1.0)[:, None], np.nan)
    return np.clip(unit @ unit.T, -1.0, 1.0)


def pool_models(vectors: pl.DataFrame) -> pl.DataFrame:
    """One vector per task over the layers of all models, as if the zoo were one model.

    Args:
        vectors: of `interaction_vectors`; layers that not every task has are left out.
    """
    n_tasks = vectors["task"].n_unique()
    order = pl.struct("model", "pretrained", "place").rank("dense").cast(pl.Int32) - 1
    name = pl.format("{}/{} {}", "model", "pretrained", "layer")
    pooled = vectors.with_columns(place=order, layer=name)
    whole = pl.len().over("layer") == n_tasks
    return pooled.filter(whole).with_columns(model=pl.lit("zoo"), pretrained=pl.lit("pooled"))


def cluster_tasks(correlations: np.ndarray) -> np.ndarray:
    """Average linkage on 1 - r, as scipy lays it out; an unknown r counts as 0.

    Args:
        correlations: (tasks, tasks), at least two tasks.
    """
    # Imported here: it takes a second, and few commands need it.
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    distance = 1.0 - np.nan_to_num(correlations, nan=0.0)
    np.fill_diagonal(distance, 0.0)
    condensed = squareform((distance + distance.T) / 2, checks=False)
    return linkage(np.maximum(condensed, 0.0), "average", optimal_ordering=True)


def likeness_pairs(likenesses: list[Likeness]) -> pl.DataFrame:
    """Every pair of tasks of every model once: model, pretrained, task, other, raw, centred."""
    rows = [
        (
            *likeness.model,
            likeness.tasks[i],
            likeness.tasks[j],
            float(likeness.raw[i, j]),
            float(likeness.centred[i, j]),
        )
        for likeness in likenesses
        for i in range(len(likeness.tasks))
        for j in range(i + 1, len(likeness.tasks))
    ]
    names = dict.fromkeys((*MODEL, "task", "other"), pl.String)
    schema = {**names, "raw": pl.Float64, "centred": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(pl.col("raw", "centred").fill_nan(None))


def _common_layers(rows: pl.DataFrame, n_tasks: int) -> list[str]:
    counts = rows.group_by("layer").agg(pl.len(), pl.col("place").min()).sort("place", "layer")
    return counts.filter(pl.col("len") == n_tasks)["layer"].to_list()


def _matrix(rows: pl.DataFrame, tasks: list[str], layers: list[str]) -> np.ndarray:
    at_task = {name: place for place, name in enumerate(tasks)}
    at_layer = {name: place for place, name in enumerate(layers)}
    values = np.zeros((len(tasks), len(layers)))
    for task, layer, delta in rows.select("task", "layer", "delta").iter_rows():
        if layer in at_layer:
            values[at_task[task], at_layer[layer]] = delta
    return values
