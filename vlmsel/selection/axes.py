"""Axes of arrays over models and tasks: which row a model is, and which column a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vlmsel.selection.knowledge import ModelKey


@dataclass(frozen=True, eq=False)
class Axes:
    """Models and tasks in the order of an array's rows and columns.

    Attributes:
        models: (model, pretrained) of the rows.
        tasks: names of the columns.
    """

    models: tuple[ModelKey, ...]
    tasks: tuple[str, ...]

    @cached_property
    def row_of(self) -> dict[ModelKey, int]:
        """Row of every model."""
        return {key: row for row, key in enumerate(self.models)}

    @cached_property
    def column_of(self) -> dict[str, int]:
        """Column of every task."""
        return {task: column for column, task in enumerate(self.tasks)}

    def rows(self, models: Sequence[ModelKey]) -> np.ndarray:
        """Rows of some models."""
        return np.array([self.row_of[key] for key in models], dtype=int)

    def columns(self, tasks: Sequence[str]) -> np.ndarray:
        """Columns of some tasks."""
        return np.array([self.column_of[task] for task in tasks], dtype=int)
