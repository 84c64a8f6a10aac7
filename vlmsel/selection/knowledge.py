"""Knowledge of the zoo from the source tasks: accuracies and ranks."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from vlmsel.columns import MODEL

ModelKey = tuple[str, str]


def task_ranks(accuracies: pl.DataFrame) -> pl.DataFrame:
    """Rank the models of every task by accuracy.

    Args:
        accuracies: model, pretrained, task, acc1; null and NaN mean unknown.

    Returns:
        model, pretrained, task, acc1, rank (1 = best, equal accuracies share the mean of their
        ranks), n_models (known on that task); sorted by task, then rank, then name.
    """
    known = accuracies.filter(pl.col("acc1").is_finite())
    rank = pl.col("acc1").rank(method="average", descending=True).over("task")
    table = known.select(*MODEL, "task", "acc1", rank=rank, n_models=pl.len().over("task"))
    return table.sort("task", "rank", *MODEL)


def value_matrix(
    frame: pl.DataFrame,
    value: str,
    models: Sequence[ModelKey],
    tasks: Sequence[str],
    task: str = "task",
) -> np.ndarray:
    """Lay one value of a long frame out as an array.

    Args:
        frame: model, pretrained, a task column, the value; at most one row per cell.
        value: name of the value's column.
        models: rows of the array.
        tasks: columns of the array.
        task: name of the task column.

    Returns:
        float64 array (models, tasks), NaN where unknown or not finite.
    """
    rows = pl.DataFrame(list(models), schema=dict.fromkeys(MODEL, pl.String), orient="row")
    columns = pl.DataFrame({task: list(tasks)}, schema={task: pl.String})
    cells = frame.select(pl.col(*MODEL, task).cast(pl.String), pl.col(value).cast(pl.Float64))
    grid = rows.join(columns, how="cross", maintain_order="left_right")
    values = grid.join(cells, on=[*MODEL, task], how="left", maintain_order="left")[value]
    array = values.fill_null(float("nan")).to_numpy().reshape(len(models), len(tasks))
    return np.where(np.isfinite(array), array, np.nan)


def known_models(accuracies: pl.DataFrame, tasks: Sequence[str]) -> list[ModelKey]:
    """Return the models with an accuracy on at least one of the tasks, by name."""
    known = accuracies.filter(pl.col("acc1").is_finite() & pl.col("task").is_in(list(tasks)))
    return known.select(MODEL).unique().sort(MODEL).rows()
