"""Profiles of one model in the blocks of another, or in no model's blocks at all."""

import numpy as np

DEPTHS = 12


def mean_total(shapes: np.ndarray) -> np.ndarray:
    """Mean over the tasks of the total of a profile, (models,); 1 where there is none.

    Divided by it, models count alike in a mean, and the tasks of each keep their proportions.

    Args:
        shapes: (models, tasks, blocks), zeros behind the blocks that a model has, NaN where there
            is no profile.
    """
    known = np.isfinite(shapes[..., 0])
    total = np.where(known, np.abs(np.where(known[..., None], shapes, 0.0)).sum(axis=2), 0.0)
    mean = total.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(mean > 0, mean, 1.0)


def resample_depth(shapes: np.ndarray, n_blocks: np.ndarray, n_depths: int = DEPTHS) -> np.ndarray:
    """Profiles at equal shares of the depth, linear between the middles of the blocks.

    Block l of d blocks lies at depth (l + 1/2) / d; beyond the first and last middle, the profile
    stays what it is there.

    Args:
        shapes: (..., models, tasks, blocks), see `mean_total`.
        n_blocks: (models,).
        n_depths: points of the depth.

    Returns:
        (..., models, tasks, n_depths), NaN where there is no profile.
    """
    found = np.full((*shapes.shape[:-1], n_depths), np.nan)
    depth = (np.arange(n_depths) + 0.5) / n_depths
    for model, width in enumerate(n_blocks):
        if not width:
            continue
        # Linear in the profile, so that all profiles of a model are one product.
        matrix = np.stack(
            [np.interp(depth, (np.arange(width) + 0.5) / width, unit) for unit in np.eye(width)]
        )
        found[..., model, :, :] = shapes[..., model, :, :width] @ matrix
    return found


def mean_of_donors(shapes: np.ndarray) -> np.ndarray:
    """Mean over the models, the third last axis, that have a profile; NaN where none has.

    Args:
        shapes: (..., models, tasks, blocks).

    Returns:
        (..., tasks, blocks).
    """
    known = np.isfinite(shapes[..., :1])
    count = known.sum(axis=-3)
    total = np.where(known, shapes, 0.0).sum(axis=-3)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
