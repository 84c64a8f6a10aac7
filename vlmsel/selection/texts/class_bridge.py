"""Gap vectors and class ranks, moved from the classes of source tasks to those of a target.

SWAB (Yi et al. 2024, https://arxiv.org/abs/2403.13797). Its sentence encoder is not shipped: the
cosine of two classes is the mean of what the models' own text towers say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.texts.text_view import TextView, unit
from vlmsel.selection.texts.transport import partial_transport

# As published: the share of the mass that moves, and the cosine above which a class is like one.
MASS, THRESHOLD = 0.9, 0.5


@dataclass(frozen=True, eq=False)
class Bridge:
    """Shares of source classes in each class of a target.

    Attributes:
        shares: (source classes, target classes); columns sum to 1. A class that no mass came to
            has the shares of all mass together.
    """

    shares: np.ndarray

    def move(self, values: np.ndarray) -> np.ndarray:
        """Values of the source classes as the target's: (..., source classes, D) to (..., K, D)."""
        return np.swapaxes(self.shares, 0, 1) @ values


def make_bridge(
    similarity: np.ndarray, *, mass: float = MASS, threshold: float = THRESHOLD
) -> Bridge:
    """Bridge by partial transport at the cost exp(1 - cosine).

    Args:
        similarity: (source classes, target classes), cosines.
        mass: share that moves.
        threshold: source classes without a larger cosine to any class of the target are left out.

    Raises:
        SelectionError: no source class is like one of the target, or see `partial_transport`.
    """
    kept = (similarity > threshold).any(axis=1)
    if not kept.any():
        raise SelectionError(
            f"no source class is like a class of the target: the largest cosine is "
            f"{similarity.max(initial=-1.0):.2f}, not above {threshold:g}"
        )
    plan = np.zeros(similarity.shape)
    plan[kept] = partial_transport(np.exp(1 - similarity[kept]), mass)
    total = plan.sum(axis=0)
    everywhere = plan.sum(axis=1, keepdims=True) / plan.sum()
    shares = np.where(total > 0, plan / np.where(total > 0, total, 1.0), everywhere)
    return Bridge(shares)


@dataclass(frozen=True, eq=False)
class SourceClasses:
    """The classes of all source tasks in one row.

    Attributes:
        tasks: (C,), task of each class.
        classes: (C, D) of each model, class vectors.
        gaps: (C, D) of each model, 0 where a class is not known.
        accuracy: (models, C), NaN where a class is not known.
    """

    tasks: np.ndarray
    classes: tuple[np.ndarray, ...]
    gaps: tuple[np.ndarray, ...]
    accuracy: np.ndarray

    def similarity(self, task: str, views: Sequence[TextView]) -> np.ndarray:
        """Mean over the models of the cosines to the classes of a task, (C, classes of the task).

        Classes of the task itself, and classes without labelled images, are like nothing.

        Args:
            task: which task.
            views: of the task by each model.
        """
        cosines = [rows @ view.classes.T for rows, view in zip(self.classes, views, strict=True)]
        found = np.mean(cosines, axis=0)
        found[(self.tasks == task) | ~np.isfinite(self.accuracy).all(axis=0)] = -np.inf
        return found


def lay_out_classes(
    views: Mapping[str, Mapping[ModelKey, TextView]],
    models: Sequence[ModelKey],
    sources: Sequence[str],
) -> SourceClasses:
    """Lay the classes of the sources out; one counts where all models know gap and accuracy.

    Args:
        views: by task and model, with gaps and accuracies of the sources.
        models: that have views of all sources.
        sources: the tasks.
    """
    by_model = [[views[task][key] for task in sources] for key in models]
    gaps = [np.concatenate([_require(view.gaps) for view in part]) for part in by_model]
    accuracy = np.stack([np.concatenate([_require(v.accuracy) for v in part]) for part in by_model])
    known = np.isfinite(accuracy).all(axis=0)
    known &= np.all([np.isfinite(values).all(axis=1) for values in gaps], axis=0)
    return SourceClasses(
        tasks=np.repeat(list(sources), [len(view.names) for view in by_model[0]]),
        classes=tuple(np.concatenate([view.classes for view in part]) for part in by_model),
        gaps=tuple(np.where(known[:, None], values, 0.0) for values in gaps),
        accuracy=np.where(known, accuracy, np.nan),
    )


def _require(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


def correct_view(view: TextView, gaps: np.ndarray) -> TextView:
    """The view with its captions moved towards images by the gap of their class.

    Args:
        view: of the target.
        gaps: (K, D), of the target's classes.
    """
    return view.with_captions(unit(view.captions + gaps[view.caption_classes]))
