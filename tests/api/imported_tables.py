"""Published tables as they lie in a store after an import, made up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from vlmsel.columns import CELL
from vlmsel.published.stored_tables import (
    PREDICTION_SCHEMA,
    write_accuracies,
    write_predictions,
    write_profiles,
)
from vlmsel.store.filesystem import open_folder

TASKS = ("mnist", "svhn", "dtd", "eurosat", "gtsrb")
MANY = (*TASKS, "cars", "pets", "pcam", "stl10", "sun397")


def accuracy(model: int, task: int) -> float:
    """Accuracies in another order on every task."""
    return round(0.3 + 0.05 * model + 0.01 * ((7 * model + 3 * task) % 5), 3)


def accuracy_table(
    n_models: int = 4,
    tasks: Sequence[str] = TASKS,
    value: Callable[[int, int], float] = accuracy,
) -> pl.DataFrame:
    """Accuracies of models m0, m1, .."""
    rows = [
        (f"m{i}", "x", task, value(i, j)) for i in range(n_models) for j, task in enumerate(tasks)
    ]
    return pl.DataFrame(rows, schema=[*CELL, "acc1"], orient="row")


def profile_table(models: Sequence[int] = range(4), tasks: Sequence[str] = TASKS) -> pl.DataFrame:
    """Profiles; model i has 3 + i blocks."""
    rows = [
        (f"m{i}", "x", task, b, f"b{b}", 1e-5 * (1 + (i + 2) * (j + 2) * (b + 3) % 7))
        for i in models
        for j, task in enumerate(tasks)
        for b in range(3 + i)
    ]
    return pl.DataFrame(rows, schema=[*CELL, "block", "block_name", "conductance"], orient="row")


def prediction_table(n_models: int = 6, n_images: int = 60) -> pl.DataFrame:
    """Answers of models on images of three classes, the later ones better; no confidences."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, n_images)
    rows = [
        (f"m{m}", "x", "own", f"{i}.png", f"c{(t + (rng.random() > 0.5 + 0.05 * m)) % 3}", f"c{t}")
        for m in range(n_models)
        for i, t in enumerate(truth)
    ]
    return pl.DataFrame(rows, schema=[*CELL, "image_id", "prediction", "label"], orient="row")


def import_accuracies(store: Path, table: pl.DataFrame | None = None, name: str = "own") -> Path:
    """Keep accuracies in a store."""
    write_accuracies(open_folder(store), accuracy_table() if table is None else table, name)
    return store


def import_profiles(store: Path, table: pl.DataFrame | None = None, name: str = "own") -> Path:
    """Keep profiles in a store."""
    write_profiles(open_folder(store), profile_table() if table is None else table, name)
    return store


def import_predictions(store: Path, table: pl.DataFrame | None = None, name: str = "own") -> Path:
    """Keep predictions in a store."""
    found = prediction_table() if table is None else table
    if "confidence" not in found.columns:
        found = found.with_columns(confidence=pl.lit(None, pl.Float64))
    write_predictions(open_folder(store), found.select(PREDICTION_SCHEMA.names), name)
    return store
