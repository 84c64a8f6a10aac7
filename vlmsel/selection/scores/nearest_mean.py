"""Nearest class mean, leave one out: the simplest classifier of all."""

from typing import Any

import numpy as np

from vlmsel.selection.scores.support.image_copies import copy_groups
from vlmsel.selection.scores.support.label_groups import LabelGroups, labelled

# Rows at a time against all classes: 1,000 x 10,000 distances are 80 MB.
CHUNK = 1_000


def nearest_mean(
    features: Any, labels: Any, *, leave_one_out: bool = True, images: Any = None
) -> float:
    """Share of the images whose nearest class mean, without their own part, is their class's.

    Args:
        features: (n, d).
        labels: (n,) classes; the only image of a class counts as wrong, its class has no mean.
        leave_one_out: False for the means of all images, which flatters where n is small.
        images: (n,) identities: copies of an image with its label are left out with it.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    means = groups.means(rows)
    lengths = (means**2).sum(axis=1)
    right = 0
    left_out = _class_distances(rows, groups, images) if leave_one_out else None
    for start in range(0, len(rows), CHUNK):
        codes = groups.codes[start : start + CHUNK]
        distance = lengths - 2 * rows[start : start + CHUNK] @ means.T
        if left_out is not None:
            distance[np.arange(len(codes)), codes] = left_out[start : start + CHUNK]
        right += int((distance.argmin(axis=1) == codes).sum())
    return right / len(rows)


def _class_distances(rows: np.ndarray, groups: LabelGroups, images: Any) -> np.ndarray:
    """Squared distance to the own class's mean without the image and its copies, less |x|^2."""
    copies = copy_groups(images, len(rows))
    cell = np.unique(copies * groups.n_classes + groups.codes, return_inverse=True)[1]
    size = np.bincount(cell)
    sums = np.zeros((len(size), rows.shape[1]))
    np.add.at(sums, cell, rows)
    rest = groups.counts[groups.codes] - size[cell]
    means = groups.sums(rows)[groups.codes] - sums[cell]
    means /= np.maximum(rest, 1)[:, None]
    return np.where(rest > 0, (means**2).sum(axis=1) - 2 * (rows * means).sum(axis=1), np.inf)
