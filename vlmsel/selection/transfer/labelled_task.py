"""The labelled images of a task, cleaned once for all models, with what was left out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.image_copies import copy_groups
from vlmsel.selection.scores.support.label_groups import LabelGroups, group_labels

# Classes of one image are left out where they hold no more of the images than this.
MOST_SINGLES = 0.1
SHOWN = 3


@dataclass(frozen=True)
class LabelledTask:
    """Rows of the features that are scored, and their labels.

    Attributes:
        rows: (n,) rows of the features that are used.
        groups: their classes.
        copies: (n,) group of each image: copies share one.
        columns: (n,) position of each label among the classes given, for zero-shot columns.
        notes: what was left out or is doubtful, a line each.
    """

    rows: np.ndarray
    groups: LabelGroups
    copies: np.ndarray
    columns: np.ndarray
    notes: tuple[str, ...]


def labelled_task(
    labels: Any, *, images: Any = None, classes: Sequence[Any] | None = None
) -> LabelledTask:
    """Clean the labels of a task.

    Images without a label, images that come with two different labels, and classes of a single
    image (where they are few) are left out, and named.

    Args:
        labels: (n,) class of each image; None or NaN where unknown.
        images: (n,) identities such as sha256; all differ when None.
        classes: all classes of the task, in the order of zero-shot columns.

    Raises:
        SelectionError: labels are no classes, or name none of `classes`, or fewer than two classes
            are left.
    """
    given = np.asarray(labels)
    if given.ndim != 1:
        group_labels(given)  # says what is wrong
    notes: list[str] = []
    rows = np.arange(len(given))
    unknown = np.array([_is_missing(label) for label in given], dtype=bool)
    if unknown.any():
        notes.append(f"{unknown.sum()} images without a label are left out")
    rows = rows[~unknown]
    identities = None if images is None else np.asarray(images)
    if identities is not None and len(identities) != len(given):
        copy_groups(identities, len(given))
    rows = _without_contradictions(given, identities, rows, notes)
    rows = _without_singles(given, rows, notes)
    groups = group_labels(given[rows])
    copies = copy_groups(None if identities is None else identities[rows], len(rows))
    extra = len(rows) - len(np.unique(copies))
    if extra:
        notes.append(f"{extra} images are copies of others: copies are on one side of every split")
    columns = _columns(groups, classes, notes)
    if groups.smallest == 1:
        singles = int((groups.counts == 1).sum())
        notes.append(f"{singles} classes have one image: nothing can be held out of them")
    return LabelledTask(rows, groups, copies, columns, tuple(notes))


def _without_contradictions(
    labels: np.ndarray, images: np.ndarray | None, rows: np.ndarray, notes: list[str]
) -> np.ndarray:
    if images is None or not len(rows):
        return rows
    copies = copy_groups(images[rows], len(rows))
    seen: dict[int, Any] = {}
    torn = {
        group
        for group, label in zip(copies.tolist(), labels[rows].tolist(), strict=True)
        if seen.setdefault(group, label) != label
    }
    if torn:
        notes.append(
            f"{len(torn)} images have several labels: class scores want one each, they are left out"
        )
    return rows[~np.isin(copies, list(torn))]


def _without_singles(labels: np.ndarray, rows: np.ndarray, notes: list[str]) -> np.ndarray:
    groups = group_labels(labels[rows])
    single = groups.counts == 1
    few = single.sum() <= MOST_SINGLES * len(rows) and (~single).sum() >= 2
    if not single.any() or not few:
        return rows
    notes.append(
        f"{single.sum()} classes of one image are left out: {_list_some(groups.names[single])}"
    )
    return rows[~single[groups.codes]]


def _columns(groups: LabelGroups, classes: Sequence[Any] | None, notes: list[str]) -> np.ndarray:
    if classes is None:
        return groups.codes
    position = {name: i for i, name in enumerate(classes)}
    strange = [name for name in groups.names.tolist() if name not in position]
    if strange:
        raise SelectionError(
            f"{len(strange)} labels name no class of the task: {_list_some(strange)}; its classes "
            f"are {_list_some(list(classes))}"
        )
    empty = [name for name in classes if name not in set(groups.names.tolist())]
    if empty:
        notes.append(f"{len(empty)} classes have no image and are not scored: {_list_some(empty)}")
    return np.array([position[name] for name in groups.names.tolist()])[groups.codes]


def _is_missing(label: Any) -> bool:
    return label is None or (isinstance(label, (float, np.floating)) and math.isnan(label))


def _list_some(names: Any) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return ", ".join(str(name) for name in names[:SHOWN]) + more
