"""Ridge regression on one-hot targets with exact leave-one-out."""

from typing import Any, NamedTuple

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.decomposition import Decomposition, decomposition_of
from vlmsel.selection.scores.support.image_copies import copy_groups
from vlmsel.selection.scores.support.label_groups import labelled


class Ridge(NamedTuple):
    """Left-out results of a ridge classifier.

    Attributes:
        accuracy: share of the images classified right, higher is better.
        mse: mean squared error of the one-hot targets, lower is better; hardly ever ties.
    """

    accuracy: float
    mse: float


def ridge(
    features: Any,
    labels: Any,
    *,
    penalty: float = 1.0,
    images: Any = None,
    decomposition: Decomposition | None = None,
) -> Ridge:
    """Leave every image out of a ridge fit with a free intercept, in closed form.

    e_i = (y - H y)_i / (1 - H_ii), H = 1 1'/n + U diag(s^2 / (s^2 + penalty)) U'. Copies of an
    image are left out together: e_g = (I - H_gg)^-1 (y - H y)_g.

    Args:
        features: (n, d).
        labels: (n,) classes.
        penalty: of the squared weights, above 0.
        images: (n,) identities.
        decomposition: of the same features, when made before.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    if not penalty > 0:
        raise SelectionError(f"ridge with penalty {penalty:g} is impossible; give more than 0")
    parts = decomposition_of(rows, decomposition)
    axes = parts.left_vectors[:, : parts.rank]
    kept = parts.singular[: parts.rank] ** 2
    kept = kept / (kept + penalty)
    targets = groups.onehot()
    fitted = groups.priors + axes @ (kept[:, None] * groups.sums(axes).T)
    error = targets - fitted
    leverage = 1 / parts.n + (axes**2) @ kept
    copies = copy_groups(images, parts.n)
    left_out = error / (1 - leverage)[:, None]
    for group in np.flatnonzero(np.bincount(copies) > 1):
        members = np.flatnonzero(copies == group)
        hat = 1 / parts.n + (axes[members] * kept) @ axes[members].T
        left_out[members] = np.linalg.solve(np.eye(len(members)) - hat, error[members])
    right = (targets - left_out).argmax(axis=1) == groups.codes
    return Ridge(float(right.mean()), float((left_out**2).mean()))
