"""Task-Layer Interaction Vectors: what silencing each layer does to the accuracy on a task."""

from collections.abc import Iterable

import polars as pl

from vlmsel.selection.layers.changes import agresti_min
from vlmsel.selection.layers.knockout_answers import LayerAnswers

SCHEMA = {
    "model": pl.String,
    "pretrained": pl.String,
    "task": pl.String,
    "place": pl.Int32,
    "layer": pl.String,
    "delta": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "gained": pl.Int32,
    "lost": pl.Int32,
    "base_accuracy": pl.Float64,
    "chance": pl.Float64,
    "n_images": pl.Int32,
}


def interaction_vectors(answers: Iterable[LayerAnswers]) -> pl.DataFrame:
    """Delta_l(T) = accuracy with layer l silenced minus the base's, on the same labelled items.

    Not normalised; positive where the layer interferes with the task. The interval is Agresti and
    Min's, 95 %, for each layer by itself: with many layers, some will exclude zero by accident.

    Returns:
        One row per model, task and candidate layer: see `SCHEMA`.
    """
    rows = [row for layer_answers in answers for row in _rows(layer_answers)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _rows(answers: LayerAnswers) -> Iterable[tuple[object, ...]]:
    outcomes = answers.outcomes
    n_items = outcomes.n_items
    gained, lost = outcomes.changes()
    for place, name in enumerate(answers.layers):
        up, down = int(gained[place]), int(lost[place])
        _, low, high = agresti_min(up, down, n_items)
        delta = (up - down) / n_items
        base = float(outcomes.base.mean())
        yield (
            *answers.key, place, name, delta, low, high, up, down, base, answers.chance, n_items,
        )  # fmt: skip
