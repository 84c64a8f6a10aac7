"""Check of the probabilities that a model gives to the classes of some images."""

import numpy as np

from vlmsel.errors import SelectionError


def drop_failed_images(probabilities: np.ndarray) -> np.ndarray:
    """Return (images, classes) with images that failed, rows of NaN, left out.

    Raises:
        SelectionError: there is no image, or a row is no distribution.
    """
    table = np.asarray(probabilities, dtype=float)
    if table.ndim != 2 or table.shape[1] < 2:
        raise SelectionError(
            f"probabilities must be (images, classes) of 2 classes or more, not {table.shape}"
        )
    table = table[~np.isnan(table).any(axis=1)]
    if not len(table):
        raise SelectionError("there are no probabilities of any image")
    if (table < 0).any() or np.abs(table.sum(axis=1) - 1).max() > 1e-3:
        raise SelectionError("the probabilities of an image must be at least 0 and sum to 1")
    return table
