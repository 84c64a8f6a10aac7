"""ETran: an energy and a discriminant term, to be combined over the zoo (arXiv 2308.02027)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax

from vlmsel.selection.scores.support.label_groups import check_features, labelled
from vlmsel.selection.scores.support.min_max import min_max

ENERGY_SHARE = 0.15
TAIL = 0.005


class Etran(NamedTuple):
    """The terms of ETran.

    Attributes:
        lda: mean probability of the true class; higher is better; it depends on the scale of F.
        energy: mean log-sum-exp of the images with the lowest; NaN where the tail is no image.
    """

    lda: float
    energy: float


def etran(features: Any, labels: Any, *, logits: Any = None, tail: float | None = TAIL) -> Etran:
    """Both terms of one model.

    lda: softmax(F M' - 1/2 |m|^2 + ln p), the nearest class mean (what the reference's eigenvectors
    amount to, to 1e-16), on the images that the means are of. energy: log-sum-exp over columns of
    the features (the authors' code) or of a head's logits (the paper).

    Args:
        features: (n, d).
        labels: (n,) classes.
        logits: (n, classes of the source) for the energy; the features when None.
        tail: share of the images with the lowest energies that count, int(tail n): none below 200
            images at the authors' 0.005. None for all images.

    Raises:
        SelectionError: features, logits or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    means = groups.means(rows)
    scores = rows @ means.T - 0.5 * (means**2).sum(axis=1) + np.log(groups.priors)
    lda = softmax(scores, axis=1)[np.arange(len(rows)), groups.codes].mean()
    energies = np.asarray(logsumexp(rows if logits is None else check_features(logits), axis=1))
    counted = np.sort(energies)[: None if tail is None else int(tail * len(rows) + 1e-9)]
    return Etran(float(lda), float(counted.mean()) if len(counted) else float("nan"))


def combine_etran(terms: Sequence[Etran]) -> np.ndarray:
    """Scores of a zoo: .15 energy + .85 lda, each scaled to 0 .. 1 over the zoo.

    Where a model has no energy the discriminant alone counts, for all models.
    """
    energy = np.array([term.energy for term in terms])
    lda = min_max(np.array([term.lda for term in terms]))
    if not np.isfinite(energy).all():
        return lda
    return ENERGY_SHARE * min_max(energy) + (1 - ENERGY_SHARE) * lda
