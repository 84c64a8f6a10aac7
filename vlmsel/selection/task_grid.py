"""Accuracies and profiles of a zoo on all tasks, laid out as arrays once.

All problems of a leave-one-out are views of one grid: what any of them computes of pairs of tasks
is kept for the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from vlmsel.columns import CELL, MODEL
from vlmsel.errors import SelectionError
from vlmsel.selection.array_divergences import Divergence
from vlmsel.selection.axes import Axes
from vlmsel.selection.knowledge import ModelKey, value_matrix
from vlmsel.selection.score_arrays import zoo_ranks

# Of the divergences of one grid.
KEPT_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class TaskGrid(Axes):
    """Accuracies and profiles of every model on every task, both sorted by name.

    Attributes:
        accuracy: (models, tasks), NaN where unknown.
        shapes: (models, tasks, blocks), task profiles; zeros behind the blocks that a model has,
            NaN throughout where there is no profile; None without profiles.
        n_blocks: (models,), blocks of each model.
        kept_bytes: divergences that are kept; beyond, the oldest are computed again.
    """

    accuracy: np.ndarray
    shapes: np.ndarray | None
    n_blocks: np.ndarray
    kept_bytes: int = KEPT_BYTES
    _kept: dict[tuple[Divergence, int], np.ndarray] = field(default_factory=dict, repr=False)

    @cached_property
    def ranks(self) -> np.ndarray:
        """Ranks of all models on every task, see `zoo_ranks`."""
        return zoo_ranks(self.accuracy)

    @cached_property
    def profiled(self) -> np.ndarray:
        """Cells with a profile, (models, tasks) of booleans."""
        if self.shapes is None:
            return np.zeros(self.accuracy.shape, dtype=bool)
        return np.isfinite(self.shapes[..., 0])

    def divergences(self, divergence: Divergence, column: int) -> np.ndarray:
        """Divergence of every task to the one of this column, (models, tasks); see `Divergence`.

        That of a task to itself is NaN.

        Raises:
            SelectionError: there are no profiles.
        """
        if self.shapes is None:
            raise SelectionError("there are no profiles to compare; run `vlmsel profile` first")
        key = (divergence, column)
        if key not in self._kept:
            target = self.shapes[:, column]
            found = divergence.towards(target, self.shapes, self.n_blocks)
            found[:, column] = np.nan
            while self._kept and (len(self._kept) + 1) * found.nbytes > self.kept_bytes:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = found
        return self._kept[key]


def lay_out(accuracies: pl.DataFrame, profiles: pl.DataFrame | None) -> TaskGrid:
    """Make a grid of tables.

    Args:
        accuracies: model, pretrained, task, acc1; at most one row per cell.
        profiles: task profiles (model, pretrained, task, profile), one length a model.
    """
    frames = [accuracies.select(CELL)] + ([] if profiles is None else [profiles.select(CELL)])
    cells = pl.concat([frame.cast(pl.String) for frame in frames])
    models = cells.select(MODEL).unique().sort(MODEL).rows()
    tasks = cells["task"].unique().sort().to_list()
    shapes, n_blocks = None, np.zeros(len(models), dtype=int)
    if profiles is not None:
        shapes, n_blocks = _lay_out_profiles(profiles, models, tasks)
    accuracy = value_matrix(accuracies, "acc1", models, tasks)
    return TaskGrid(tuple(models), tuple(tasks), accuracy, shapes, n_blocks)


def _lay_out_profiles(
    profiles: pl.DataFrame, models: Sequence[ModelKey], tasks: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Profiles as (models, tasks, blocks), and the blocks of each model."""
    rows = pl.DataFrame(list(models), schema=dict.fromkeys(MODEL, pl.String), orient="row")
    columns = pl.DataFrame({"task": list(tasks)}, schema={"task": pl.String})
    table = (
        profiles.with_columns(pl.col(CELL).cast(pl.String))
        .join(rows.with_row_index("_row"), on=MODEL)
        .join(columns.with_row_index("_column"), on="task")
    )
    row, column = table["_row"].to_numpy(), table["_column"].to_numpy()
    length = table["profile"].list.len().to_numpy().astype(int)
    n_blocks = np.zeros(len(models), dtype=int)
    n_blocks[row] = length
    shapes = np.zeros((len(models), len(tasks), max(1, n_blocks.max(initial=0))))
    known = np.zeros(shapes.shape[:2], dtype=bool)
    known[row, column] = True
    block = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    values = table["profile"].explode(empty_as_null=False).to_numpy()
    shapes[np.repeat(row, length), np.repeat(column, length), block] = values
    shapes[~known] = np.nan
    return shapes, n_blocks
