"""Copies of an image: they must lie on one side of a split."""

from typing import Any

import numpy as np

from vlmsel.errors import SelectionError


def copy_groups(images: Any, n: int) -> np.ndarray:
    """Return (n,) group numbers: rows with the same image share one.

    Args:
        images: (n,) identities such as sha256; None when all differ.
        n: number of rows.

    Raises:
        SelectionError: not one identity a row.
    """
    if images is None:
        return np.arange(n)
    given = np.asarray(images)
    if given.ndim != 1 or len(given) != n:
        raise SelectionError(
            f"{given.shape} image identities for {n} rows; give one per row, such as its sha256"
        )
    return np.unique(given.astype(str), return_inverse=True)[1]


def find_same_image(groups: np.ndarray) -> np.ndarray | None:
    """Return (pairs, 2) of different rows with one image, both orders; None if there are none."""
    sizes = np.bincount(groups)
    if sizes.max() < 2:
        return None
    pairs = [
        (i, j)
        for group in np.flatnonzero(sizes > 1)
        for i in np.flatnonzero(groups == group)
        for j in np.flatnonzero(groups == group)
        if i != j
    ]
    return np.array(pairs)
