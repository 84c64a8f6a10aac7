"""Checked probabilities of a source head, or of a zero-shot classifier."""

from typing import Any

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.label_groups import LabelGroups, group_labels

# float32 softmax over 1,000 classes is off by less.
TOLERANCE = 1e-3


def check_probabilities(probabilities: Any) -> np.ndarray:
    """Return the (n, classes of the source) probabilities as float64, rows summing to 1.

    Raises:
        SelectionError: they are no matrix of probabilities.
    """
    given = np.asarray(probabilities)
    if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "fiub":
        raise SelectionError(
            f"probabilities must be a matrix, images x classes of the source, not {given.dtype} "
            f"of shape {given.shape}"
        )
    given = given.astype(np.float64)
    if not np.isfinite(given).all() or (given < 0).any():
        raise SelectionError("some probabilities are negative or not finite; give a softmax")
    total = given.sum(axis=1, keepdims=True)
    if (np.abs(total - 1) > TOLERANCE).any():
        row = int(np.abs(total - 1).argmax())
        raise SelectionError(
            f"the probabilities of row {row} sum to {total[row, 0]:.4g}, not 1; give a softmax, "
            "not logits"
        )
    return given / total


def check_head(probabilities: Any, labels: Any) -> tuple[np.ndarray, LabelGroups]:
    """Check probabilities and labels.

    Raises:
        SelectionError: one of them cannot be used, or they do not fit together.
    """
    head, groups = check_probabilities(probabilities), group_labels(labels)
    if len(head) != len(groups.codes):
        raise SelectionError(
            f"{len(head)} rows of probabilities but {len(groups.codes)} labels; give one per row"
        )
    return head, groups
