"""The arithmetic that selectors share, on numpy arrays: many zoos at a time.

Leading axes stand for zoos; the last two are models and sources. NaN means unknown.
"""

import numpy as np

from vlmsel.selection.similarity import FLAT


def zoo_ranks(accuracy: np.ndarray) -> np.ndarray:
    """Rank the models of each zoo on every source.

    1 = best; equal accuracies share the mean of their ranks. Where a source knows only n of the k
    models, its ranks are stretched from 1 .. n to the scale of the others, (r - 1/2) * k / n + 1/2:
    the rank to expect if the unknown models lay evenly among the known ones.

    Args:
        accuracy: (..., models, sources).

    Returns:
        Ranks of the same shape, NaN where the accuracy is unknown.
    """
    known = np.isfinite(accuracy)
    # Unknown models rank behind all known ones and so do not move them.
    ranks = _average_ranks(np.where(known, -accuracy, np.inf).swapaxes(-1, -2)).swapaxes(-1, -2)
    n_known = np.maximum(known.sum(axis=-2, keepdims=True), 1)
    stretched = (ranks - 0.5) * accuracy.shape[-2] / n_known + 0.5
    return np.where(known, stretched, np.nan)


def _average_ranks(values: np.ndarray) -> np.ndarray:
    """Rank along the last axis, the smallest first; equal values share the mean of their ranks.

    What `scipy.stats.rankdata` gives, whose import takes longer than a whole leave-one-out.
    """
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    place = np.arange(values.shape[-1])
    starts = np.ones(values.shape, dtype=bool)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    ends = np.ones(values.shape, dtype=bool)
    ends[..., :-1] = starts[..., 1:]
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=-1)
    backwards = np.where(ends, place, len(place))[..., ::-1]
    last = np.minimum.accumulate(backwards, axis=-1)[..., ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return ranks


def source_weights(divergence: np.ndarray, gamma: float) -> np.ndarray:
    """Return softmax over sources, the last axis, of -gamma * divergence; unknown ones weigh 0."""
    known = np.isfinite(divergence)
    logit = np.where(known, -gamma * np.where(known, divergence, 0.0), -np.inf)
    top = logit.max(axis=-1, keepdims=True)
    raised = np.exp(logit - np.where(np.isfinite(top), top, 0.0))
    return _share(raised)


def weights_of_known(weights: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Spread each model's weights over the sources that know it.

    Args:
        weights: (..., models or 1, sources).
        ranks: (..., models, sources).

    Returns:
        (..., models, sources), summing to 1 over the known sources, NaN at the others.
    """
    known = np.isfinite(ranks)
    return np.where(known, _share(np.where(known, weights, 0.0)), np.nan)


def weighted_ranks(weights: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return sum_S w_S r_S (docs/internals/selection.md) of shape (..., models).

    Args:
        weights: as `weights_of_known` returns them.
        ranks: (..., models, sources).
    """
    known = np.isfinite(weights)
    total = (np.where(known, weights, 0.0) * np.where(known, ranks, 0.0)).sum(axis=-1)
    return np.where(known.any(axis=-1), total, np.nan)


def pooled_divergence(divergence: np.ndarray) -> np.ndarray:
    """Average over the models, the second last axis, that know the source; the axis is kept."""
    known = np.isfinite(divergence)
    count = known.sum(axis=-2, keepdims=True)
    total = np.where(known, divergence, 0.0).sum(axis=-2, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def spread_divergence(divergence: np.ndarray) -> np.ndarray:
    """Return (D - mean) / std over the known sources, the last axis; 0 where they do not differ."""
    known = np.isfinite(divergence)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    mean = np.where(known, divergence, 0.0).sum(axis=-1, keepdims=True) / count
    deviation = np.where(known, divergence - mean, 0.0)
    std = np.sqrt((deviation * deviation).sum(axis=-1, keepdims=True) / count)
    differ = std > FLAT * np.abs(mean)
    return np.where(known, np.where(differ, deviation, 0.0) / np.where(differ, std, 1.0), np.nan)


def _share(values: np.ndarray) -> np.ndarray:
    """Divide by the sum over sources; NaN where it is 0."""
    total = values.sum(axis=-1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1.0), np.nan)
