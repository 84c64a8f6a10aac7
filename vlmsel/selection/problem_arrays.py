"""One selection problem as arrays: a view of a grid that hides the target's accuracies."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.array_divergences import Divergence
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.score_arrays import weighted_ranks, weights_of_known, zoo_ranks
from vlmsel.selection.task_grid import TaskGrid

NO_ACCURACY = "no accuracy on any source task"


@dataclass(frozen=True, eq=False)
class ProblemArrays:
    """The rows and columns of a grid that one problem may look at.

    Models are numbered 0 .. len(rows) - 1 in the order of their names; sources in the order of
    the problem's.

    Attributes:
        grid: all tasks.
        rows: the problem's models in the grid.
        target: its target.
        sources: its sources.
    """

    grid: TaskGrid
    rows: np.ndarray
    target: str
    sources: tuple[str, ...]

    @cached_property
    def models(self) -> tuple[ModelKey, ...]:
        """All models of the problem, by name."""
        return tuple(self.grid.models[row] for row in self.rows)

    @cached_property
    def place_of(self) -> dict[ModelKey, int]:
        """Number of every model."""
        return {key: place for place, key in enumerate(self.models)}

    @cached_property
    def columns(self) -> np.ndarray:
        """Columns of the sources in the grid; -1 of a source of which nothing is known."""
        return np.array([self.grid.column_of.get(task, -1) for task in self.sources])

    @cached_property
    def accuracy(self) -> np.ndarray:
        """(models, sources), NaN where unknown."""
        return self.accuracy_on(self.sources)

    def accuracy_on(self, tasks: Sequence[str]) -> np.ndarray:
        """(models, tasks), NaN where unknown, and throughout for the target."""
        seen = [self.grid.column_of.get(t, -1) if t != self.target else -1 for t in tasks]
        return _columns(self.grid.accuracy[self.rows], np.array(seen, dtype=int))

    def accuracy_of(self, models: Sequence[ModelKey], tasks: Sequence[str]) -> np.ndarray:
        """As `accuracy_on`, of some models; NaN for a model that is not of the problem."""
        values = self.accuracy_on(tasks)
        places = [self.place_of.get(key, len(values)) for key in models]
        return np.append(values, np.full((1, len(tasks)), np.nan), axis=0)[places]

    def is_known(self, task: str) -> bool:
        """Any accuracy is known on the task."""
        return bool(np.isfinite(self.accuracy_on([task])).any())

    @cached_property
    def known(self) -> np.ndarray:
        """Numbers of the models that a source knows."""
        return np.flatnonzero(np.isfinite(self.accuracy).any(axis=1))

    @cached_property
    def known_models(self) -> tuple[ModelKey, ...]:
        """The models that a source knows, by name."""
        return tuple(self.models[place] for place in self.known)

    @cached_property
    def unknown_models(self) -> tuple[tuple[ModelKey, str], ...]:
        """The other models, each with the reason."""
        return self.others(self.known_models)

    def others(self, models: Sequence[ModelKey]) -> tuple[tuple[ModelKey, str], ...]:
        """The models of the problem that are not among these, each with the reason."""
        known = set(models)
        return tuple((key, NO_ACCURACY) for key in self.models if key not in known)

    @cached_property
    def known_ranks(self) -> np.ndarray:
        """Ranks of the models that a source knows, (known models, sources); see `zoo_ranks`."""
        everyone = len(self.known) == len(self.grid.models)
        if everyone and (self.columns >= 0).all():
            return self.grid.ranks[:, self.columns]
        return zoo_ranks(self.accuracy[self.known])

    def ranks(self, zoos: np.ndarray) -> np.ndarray:
        """Ranks in some zoos of known models.

        Args:
            zoos: (zoos, models), places in `known`.

        Returns:
            (zoos, models, sources), see `zoo_ranks`.
        """
        if _is_whole(zoos, len(self.known)):
            return self.known_ranks[None]
        return zoo_ranks(self.accuracy[self.known[zoos]])

    @cached_property
    def average_rank(self) -> np.ndarray:
        """Mean rank of the known models on the sources that know them."""
        return _mean_rank(self.known_ranks)

    def average_rank_of(self, models: Sequence[ModelKey]) -> np.ndarray:
        """Mean rank among some models, on the sources that know them; NaN where none does."""
        if tuple(models) == self.known_models:
            return self.average_rank
        return _mean_rank(zoo_ranks(self.accuracy_of(models, self.sources)))

    def divergence(self, divergence: Divergence) -> np.ndarray:
        """Divergence of every source to the target, (models, sources); NaN where unknown."""
        found = self.grid.divergences(divergence, self.grid.column_of[self.target])
        return _columns(found[self.rows], self.columns)

    def drawn_divergence(self, divergence: Divergence, targets: np.ndarray) -> np.ndarray:
        """Divergence of every source to other profiles of the target.

        Args:
            divergence: how to compare.
            targets: (draws, models, blocks).

        Returns:
            (draws, models, sources), NaN where unknown.
        """
        assert self.grid.shapes is not None
        shapes = _columns(self.grid.shapes[self.rows].swapaxes(1, 2), self.columns).swapaxes(1, 2)
        return divergence.towards(targets, shapes, self.grid.n_blocks[self.rows])

    def require_profiles(self, selector: str) -> None:
        """Make sure that there are profiles of the target, and some to compare them with.

        Raises:
            SelectionError: there are none, none of the target, or none to compare it with.
        """
        if self.grid.shapes is None:
            raise SelectionError(f"selector {selector} needs profiles; run `vlmsel profile` first")
        profiled = self.grid.profiled[self.rows]
        column = self.grid.column_of.get(self.target, -1)
        of_target = profiled[:, column] if column >= 0 else np.zeros(len(profiled), dtype=bool)
        if not of_target.any():
            raise SelectionError(f"no model has a profile of {self.target}; measure it first")
        compared = profiled[of_target][:, self.columns[self.columns >= 0]]
        if not compared.any():
            raise SelectionError(
                f"no source of {self.target} has a profile of a model that has one of "
                f"{self.target}; measure the sources with the same models and settings"
            )


def _columns(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Some of the last axis; NaN for column -1."""
    found = values[..., columns]
    if (columns < 0).any():
        found[..., columns < 0] = np.nan
    return found


def _is_whole(zoos: np.ndarray, n_models: int) -> bool:
    return zoos.shape == (1, n_models) and bool((zoos[0] == np.arange(n_models)).all())


def _mean_rank(ranks: np.ndarray) -> np.ndarray:
    return weighted_ranks(weights_of_known(np.ones(ranks.shape[-1]), ranks), ranks)
