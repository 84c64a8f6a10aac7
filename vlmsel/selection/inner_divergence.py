"""Divergences between the sources of a problem, z-scored as if each were the target.

A selector that learns from its sources asks, for every target T, for the divergences of all other
tasks to every source S, in units of their spread without T. The spreads of all tasks together are
computed once for a grid; leaving T out takes one term of each sum away, so that a leave-one-out
costs one matrix product a target instead of a table a pair of tasks.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vlmsel.selection.array_divergences import Divergence
from vlmsel.selection.problem_arrays import ProblemArrays
from vlmsel.selection.similarity import FLAT
from vlmsel.selection.task_grid import TaskGrid

# A sum of squares of which less than this is left is computed anew: its digits are gone.
CANCELLED = 1e-2


@dataclass(frozen=True, eq=False)
class AllPairs:
    """Divergences between all tasks of a grid, (tasks as targets, models, tasks as sources).

    Attributes:
        deviation: divergence less its middle over the sources, 0 where unknown.
        known: 1 where known, else 0.
        complete: every model has a profile of every task.
        middle: (targets, models), median of the known sources: near most of them, however far one
            source is, so that differences keep their digits.
        total: (targets, models), sum of `deviation`.
        squares: (targets, models), sum of its squares.
    """

    deviation: np.ndarray
    known: np.ndarray
    complete: bool
    middle: np.ndarray
    total: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True, eq=False)
class InnerDivergence:
    """The sources of one problem as targets of each other.

    Attributes:
        pairs: of the whole grid.
        arrays: the problem.
        scale: (tasks, models), 1 / std over the problem's other sources; 0 where they do not
            differ, and of tasks that are no source.
        shift: (tasks, models), what their mean is above the middle of all tasks.
    """

    pairs: AllPairs
    arrays: ProblemArrays
    scale: np.ndarray
    shift: np.ndarray

    def pool(self, zoos: np.ndarray) -> np.ndarray:
        """Z-scored divergence, mean over the models of each zoo that know both tasks.

        Args:
            zoos: (zoos, models), places in `arrays.known`.

        Returns:
            (zoos, sources as targets, sources), NaN where unknown and on the diagonal.
        """
        arrays, pairs = self.arrays, self.pairs
        members = np.zeros((len(zoos), pairs.deviation.shape[1]))
        members[np.arange(len(zoos))[:, None], arrays.rows[arrays.known[zoos]]] = 1.0
        weight = members * self.scale[:, None]
        moved = weight * self.shift[:, None]
        total = weight @ pairs.deviation
        if pairs.complete:
            count = np.broadcast_to(members.sum(axis=1, keepdims=True), total.shape)
            total = total - moved.sum(axis=-1, keepdims=True)
        else:
            count = members @ pairs.known
            total = total - moved @ pairs.known
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).swapaxes(0, 1)
        columns = arrays.columns
        found = mean[:, columns][:, :, columns]
        found[:, columns < 0] = np.nan
        found[:, :, columns < 0] = np.nan
        diagonal = np.arange(len(columns))
        found[:, diagonal, diagonal] = np.nan
        return found


def inner_divergence(arrays: ProblemArrays, divergence: Divergence) -> InnerDivergence:
    """Leave a problem's target out of the spreads of its sources."""
    pairs = _all_pairs(arrays.grid, divergence)
    n_tasks = len(arrays.grid.tasks)
    sources = np.zeros(n_tasks, dtype=bool)
    sources[arrays.columns[arrays.columns >= 0]] = True
    others = np.flatnonzero(~sources)
    known, deviation = pairs.known[..., others], pairs.deviation[..., others]
    count = np.maximum(_counts(arrays.grid.profiled, pairs) - known.sum(axis=-1), 1)
    shift = (pairs.total - deviation.sum(axis=-1)) / count
    squares = pairs.squares - (deviation * deviation).sum(axis=-1)
    lost = squares - count * shift**2 <= CANCELLED * pairs.squares
    variance = np.maximum(squares / count - shift**2, 0.0)
    variance[lost], shift[lost] = _recompute(pairs, lost, sources)
    std = np.sqrt(variance)
    differ = (std > FLAT * np.abs(pairs.middle + shift)) & sources[:, None]
    return InnerDivergence(
        pairs, arrays, np.where(differ, 1.0, 0.0) / np.where(differ, std, 1.0), shift
    )


@lru_cache(maxsize=2)
def _all_pairs(grid: TaskGrid, divergence: Divergence) -> AllPairs:
    """All divergences of a grid; kept, since every target of a leave-one-out asks."""
    columns = range(len(grid.tasks))
    values = np.stack([grid.divergences(divergence, column) for column in columns])
    known = np.isfinite(values)
    middle = _median(values, known)
    deviation = np.where(known, values - middle[..., None], 0.0)
    return AllPairs(
        deviation,
        known.astype(np.float64),
        bool(grid.profiled.all()),
        middle,
        deviation.sum(axis=-1),
        (deviation * deviation).sum(axis=-1),
    )


def _median(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Upper median of what is known along the last axis; 0 where nothing is."""
    count = known.sum(axis=-1, keepdims=True)
    ordered = np.sort(np.where(known, values, np.inf), axis=-1)
    middle = np.take_along_axis(ordered, count // 2, axis=-1)
    return np.where(count > 0, middle, 0.0)[..., 0]


def _counts(profiled: np.ndarray, pairs: AllPairs) -> np.ndarray:
    """Known sources of every target and model, (targets, models)."""
    if pairs.complete:
        return np.full(pairs.middle.shape, profiled.shape[1] - 1.0)
    return pairs.known.sum(axis=-1)


def _recompute(
    pairs: AllPairs, lost: np.ndarray, sources: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variance and shift of some targets and models, from their divergences."""
    deviation, known = pairs.deviation[lost][:, sources], pairs.known[lost][:, sources]
    count = np.maximum(known.sum(axis=-1), 1)
    shift = deviation.sum(axis=-1) / count
    centred = (deviation - shift[:, None]) * known
    return (centred * centred).sum(axis=-1) / count, shift
