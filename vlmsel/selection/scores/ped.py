"""PED: push the classes apart, as fine-tuning would, then score (arXiv 2308.15074)."""

from typing import Any, Literal, NamedTuple

import numpy as np

from vlmsel.selection.scores.logme import logme
from vlmsel.selection.scores.sfda import sfda
from vlmsel.selection.scores.support.label_groups import LabelGroups, check_features, labelled

MOST_STEPS = 6
STEP = 0.1
LEAST_STD = 1e-3
# Numbers at a time in the largest array: 64 MB.
CHUNK = 8_000_000


class Ped(NamedTuple):
    """PED's score.

    Attributes:
        score: the base score of the moved features, higher is better.
        steps: how often the classes moved; 0 where no two overlap.
    """

    score: float
    steps: int


def ped(
    features: Any,
    labels: Any,
    *,
    base: Literal["sfda", "logme"] = "sfda",
    reference: Any = None,
    sigma: float = 0.6,
) -> Ped:
    """Score the features after up to 6 steps of a repulsion between overlapping classes.

    In standardised features, class i of mean m_i and radius r_i = sqrt(sum of variances) moves by
    sum_j unit(m_i - m_j) .5 dt^2 max(sigma (r_i + r_j) - |m_i - m_j|, 0), dt = .1, while the total
    movement is more than half the first.

    Args:
        features: (n, d); not changed, unlike in the reference.
        labels: (n,) classes.
        base: the score of the moved features.
        reference: (any, d) features of other images (ImageNet's, say) whose mean and deviation
            standardise; the features' own when None.
        sigma: share of the radii within which classes overlap; the authors use .6 or .3.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    moved, first, steps = rows, 0.0, 0
    mean, std = _statistics(rows if reference is None else check_features(reference))
    while steps < MOST_STEPS:
        shift = _shifts((moved - mean) / std, groups, sigma)
        total = float(np.linalg.norm(shift, axis=1).sum())
        first = first or total
        if total == 0 or total / first <= 0.5:
            break
        moved = moved + (shift * std)[groups.codes]
        steps += 1
    score = sfda(moved, labels).score if base == "sfda" else logme(moved, labels)
    return Ped(score, steps)


def _statistics(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(axis=0), np.maximum(rows.std(axis=0), LEAST_STD)


def _shifts(rows: np.ndarray, groups: LabelGroups, sigma: float) -> np.ndarray:
    """(C, d) movement of each class."""
    means = groups.means(rows)
    radii = np.sqrt(groups.means((rows - means[groups.codes]) ** 2).sum(axis=1))
    classes, d = means.shape
    step = max(1, CHUNK // (classes * d))
    shift = np.empty_like(means)
    for start in range(0, classes, step):
        part = slice(start, start + step)
        towards = means[part, None] - means[None]
        distance = np.linalg.norm(towards, axis=2)
        overlap = np.maximum(sigma * (radii[part, None] + radii) - distance, 0.0)
        weight = 0.5 * STEP**2 * overlap / np.where(distance > 0, distance, np.inf)
        shift[part] = (weight[:, :, None] * towards).sum(axis=1)
    return shift
