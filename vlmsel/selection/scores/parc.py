"""PARC: do images of one class lie together? Rank correlation of distances (arXiv 2111.06977)."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from vlmsel.selection.scores.support.decomposition import Decomposition, decomposition_of
from vlmsel.selection.scores.support.label_groups import LabelGroups, labelled

# All pairs are held at once: 5,000 images are 12.5 million pairs, 0.4 GB.
MOST_IMAGES = 5_000
DECIMALS = 12


def parc(
    features: Any,
    labels: Any,
    *,
    dimensions: int | None = None,
    most_images: int = MOST_IMAGES,
    seed: int = 0,
    decomposition: Decomposition | None = None,
) -> float:
    """100 x Spearman of 1 - corr(rows) with 1 - corr(one-hot rows), higher is better.

    Columns are standardised first; constant ones become 0.

    Args:
        features: (n, d).
        labels: (n,) classes.
        dimensions: principal components kept (the authors' code: 32); None for all columns.
        most_images: above it, a draw with the shares of the classes is scored.
        seed: of the draw.
        decomposition: of the same features, when made before; used for `dimensions` alone.

    Returns:
        -100 to 100; 0 where all distances are equal.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    if dimensions is not None:
        rows = decomposition_of(rows, decomposition).principal(dimensions)
    codes = groups.codes
    if len(rows) > most_images:
        kept = _draw(groups, most_images, seed)
        rows, codes = rows[kept], codes[kept]
    spread = rows.std(axis=0)
    flat = spread <= 1e-12 * np.maximum(np.abs(rows).max(axis=0), 1e-300)
    standard = np.where(flat, 0.0, (rows - rows.mean(axis=0)) / np.where(flat, 1.0, spread))
    upper = np.triu_indices(len(rows), k=1)
    distances = 1 - _row_correlation(standard)[upper]
    # One-hot rows of two classes have one distance, those of one class another.
    other = (codes[upper[0]] != codes[upper[1]]).astype(float)
    # Rounded, or distances that are equal would be ordered by the processor's last digit.
    ranks = rankdata(np.round(distances, DECIMALS))
    if np.ptp(ranks) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(100 * np.corrcoef(ranks, other)[0, 1])


def _row_correlation(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 0, length, 1.0)
    return unit @ unit.T


def _draw(groups: LabelGroups, size: int, seed: int) -> np.ndarray:
    """Rows of a draw in which the classes keep their shares."""
    order = np.random.default_rng(seed).permutation(len(groups.codes))
    by_class = order[np.argsort(groups.codes[order], kind="stable")]
    return np.sort(by_class[np.linspace(0, len(order) - 1, size).astype(int)])
