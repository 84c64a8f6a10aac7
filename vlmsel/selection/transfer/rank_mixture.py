"""Places by several scores and by the sources, mixed as the sources themselves advise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError

PRIOR = "average-rank"
# Fewer source tasks say nothing of weights.
MIN_SOURCES = 3


@dataclass(frozen=True)
class Mixture:
    """Weights of places, none negative, with sum 1.

    Attributes:
        names: `PRIOR` first, then scores.
        weights: one each.
        n_sources: tasks that they were learnt on; 0 where there were too few.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    n_sources: int

    @property
    def sentence(self) -> str:
        """Description of what was learnt, for people."""
        shares = zip(self.names, self.weights, strict=True)
        parts = ", ".join(f"{name} {weight:.0%}" for name, weight in shares)
        if not self.n_sources:
            return f"weights: {parts} (equal: too few source tasks to learn them on)"
        return f"weights learnt in leave-one-task-out over {self.n_sources} tasks: {parts}"

    def score(self, places: np.ndarray) -> np.ndarray:
        """Mix places (names, models), lower is better; a score of weight 0 may be unknown."""
        used = self.weights > 0
        return self.weights[used] @ places[used]


def learn_mixture(
    names: Sequence[str],
    sources: Sequence[str],
    places: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
) -> Mixture:
    """Learn weights by least squares of the true places, none negative.

    Every source task is the target once: its places by the prior come from the other tasks. Tasks
    count alike, whatever the number of their models.

    Args:
        names: `PRIOR` and the scores.
        sources: the task of each of the following; one for each of its draws.
        places: (names, models) of each, 1 = best; models with an unknown place take no part.
        truth: of each, (models,) true places.

    Raises:
        SelectionError: nothing is to be mixed.
    """
    if not names:
        raise SelectionError("a mixture needs at least one order to mix")
    rows, targets, tasks = [], [], set()
    for source, of_task, true in zip(sources, places, truth, strict=True):
        known = np.isfinite(of_task).all(axis=0) & np.isfinite(true)
        if known.sum() > 1:
            scale = np.sqrt(known.sum()) * len(true)
            centred = of_task[:, known] - of_task[:, known].mean(axis=1, keepdims=True)
            rows.append(centred.T / scale)
            targets.append((true[known] - true[known].mean()) / scale)
            tasks.add(source)
    if len(tasks) < MIN_SOURCES:
        return Mixture(tuple(names), np.full(len(names), 1 / len(names)), 0)
    from scipy.optimize import nnls

    weights, _ = nnls(np.concatenate(rows), np.concatenate(targets))
    total = weights.sum()
    if total <= 0:
        weights, total = np.eye(len(names))[0], 1.0
    return Mixture(tuple(names), weights / total, len(tasks))


def mean_places(places: np.ndarray, left_out: Sequence[int] = ()) -> np.ndarray:
    """Mean place of every model over tasks, some left out; NaN for a model that none knows.

    Args:
        places: (tasks, models), NaN where unknown.
        left_out: rows that do not count.
    """
    kept = np.delete(places, list(left_out), axis=0)
    known = np.isfinite(kept)
    total = np.where(known, kept, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
