"""Features and labels, checked once: dense classes, their sizes, sums and means."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vlmsel.errors import SelectionError

# Rows named in a message; the rest is counted.
SHOWN = 5


@dataclass(frozen=True)
class LabelGroups:
    """The classes of labelled images.

    Attributes:
        codes: (n,) class of each image, 0 .. C - 1, in sorted order of the labels.
        names: (C,) the labels themselves.
        counts: (C,) images of each class, at least 1: classes without an image do not exist here.
    """

    codes: np.ndarray
    names: np.ndarray
    counts: np.ndarray

    @property
    def n_classes(self) -> int:
        """Number of classes that have an image."""
        return len(self.counts)

    @property
    def smallest(self) -> int:
        """Images of the smallest class."""
        return int(self.counts.min())

    @property
    def priors(self) -> np.ndarray:
        """(C,) share of each class."""
        return self.counts / len(self.codes)

    @cached_property
    def _indicator(self) -> Any:
        from scipy.sparse import csr_array

        n = len(self.codes)
        return csr_array((np.ones(n), (self.codes, np.arange(n))), shape=(self.n_classes, n))

    def onehot(self) -> np.ndarray:
        """Return the (n, C) matrix with a 1 at each image's class."""
        return np.eye(self.n_classes)[self.codes]

    def sums(self, features: np.ndarray) -> np.ndarray:
        """Return the (C, d) sums of the rows of each class."""
        return np.asarray(self._indicator @ features)

    def means(self, features: np.ndarray) -> np.ndarray:
        """Return the (C, d) means of the rows of each class."""
        return self.sums(features) / self.counts[:, None]

    def subset(self, rows: np.ndarray) -> "LabelGroups":
        """Return the classes of some of the images, numbered anew."""
        return group_labels(self.names[self.codes[rows]])


def labelled(features: Any, labels: Any) -> tuple[np.ndarray, LabelGroups]:
    """Check features and labels and return them as float64 and dense classes.

    Args:
        features: (n, d), finite; constant columns are allowed.
        labels: (n,) one class an image: integers, text or booleans.

    Raises:
        SelectionError: no class label per image, fewer than two images or classes, features that
            are not finite, or not one row per label.
    """
    rows = check_features(features)
    groups = group_labels(labels)
    if len(groups.codes) != len(rows):
        raise SelectionError(
            f"{len(rows)} rows of features but {len(groups.codes)} labels; give one label per row"
        )
    return rows, groups


def check_features(features: Any) -> np.ndarray:
    """Return features as a float64 matrix.

    Raises:
        SelectionError: they are no finite matrix of at least two rows.
    """
    rows = np.asarray(features)
    if rows.ndim != 2 or rows.shape[1] == 0 or rows.dtype.kind not in "fiub":
        raise SelectionError(
            f"features must be a matrix of numbers, images x dimensions, not an array of "
            f"{rows.dtype} and shape {rows.shape}"
        )
    if len(rows) < 2:
        raise SelectionError(f"{len(rows)} image(s): a score needs at least two; label more images")
    rows = rows.astype(np.float64, copy=False)
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise SelectionError(
            f"{len(broken)} of {len(rows)} rows of features are not finite (rows "
            f"{_list_some(broken)}); measure these images again or leave them out"
        )
    return rows


def group_labels(labels: Any) -> LabelGroups:
    """Turn labels into dense classes.

    Raises:
        SelectionError: a label is missing, labels are no classes, or there is one class only.
    """
    given = np.asarray(labels)
    if given.ndim == 2:
        raise SelectionError(
            f"labels of shape {given.shape}: several labels per image have no class scores; use "
            "logme(features, matrix, regression=True) with the 0/1 matrix, or give one label each"
        )
    if given.ndim != 1:
        raise SelectionError(f"labels must be one per image, not an array of shape {given.shape}")
    if given.dtype.kind not in "iubUSfO":
        raise SelectionError(f"labels of type {given.dtype} are no classes; give integers or text")
    if given.dtype.kind == "O":
        given = _from_objects(given)
    if given.dtype.kind == "f":
        given = _from_floats(given)
    names, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise SelectionError(
            f"all {len(codes)} images have one class; a score compares at least two classes"
        )
    return LabelGroups(codes.astype(np.int64), names, counts)


def _from_objects(given: np.ndarray) -> np.ndarray:
    missing = np.array(
        [label is None or (isinstance(label, float) and math.isnan(label)) for label in given]
    )
    _refuse_missing(missing)
    kinds = {type(label) for label in given}
    if all(issubclass(kind, (int, float, np.number)) for kind in kinds):
        return np.array(list(given))
    if all(issubclass(kind, str) for kind in kinds):
        return given.astype(str)
    if any(issubclass(kind, (list, tuple, set, frozenset, np.ndarray)) for kind in kinds):
        raise SelectionError(
            "some images have a list of labels: several labels per image have no class scores; use "
            "logme(features, matrix, regression=True) with the 0/1 matrix, or give one label each"
        )
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise SelectionError(f"labels mix the types {names}; give text or integers for all images")


def _from_floats(given: np.ndarray) -> np.ndarray:
    _refuse_missing(~np.isfinite(given))
    whole = given.astype(np.int64)
    if (whole != given).any():
        value = given[np.flatnonzero(whole != given)[0]]
        raise SelectionError(
            f"label {value:g} is no class: targets of a regression have no class scores; use "
            "logme(features, targets, regression=True)"
        )
    return whole


def _refuse_missing(missing: np.ndarray) -> None:
    if missing.any():
        rows = np.flatnonzero(missing)
        raise SelectionError(
            f"{len(rows)} images have no label (rows {_list_some(rows)}); leave them out or label "
            "them"
        )


def _list_some(rows: np.ndarray) -> str:
    more = ", ..." if len(rows) > SHOWN else ""
    return ", ".join(str(row) for row in rows[:SHOWN]) + more
