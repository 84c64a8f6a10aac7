"""NCTI: how near the classes are to neural collapse; three terms, combined over the zoo."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.decomposition import Decomposition, decomposition_of
from vlmsel.selection.scores.support.label_groups import labelled
from vlmsel.selection.scores.support.min_max import min_max

DIMENSIONS = 64
IN_SHRINKAGE = 32
LEAST_SHRINKAGE = 1e-10


class Ncti(NamedTuple):
    """The terms of NCTI.

    Attributes:
        seli: nuclear norm of the discriminant's projection; higher is better.
        ncc: mean probability of the true class; higher is better.
        vc: ln of the sum over classes of the nuclear norm of the class's probabilities; lower is
            better.
        shrinkage: of the discriminant.
    """

    seli: float
    ncc: float
    vc: float
    shrinkage: float


def ncti(features: Any, labels: Any, *, decomposition: Decomposition | None = None) -> Ncti:
    """Terms of one model (Wang et al., ICCV 2023).

    A linear discriminant of the first 64 principal components with shrinkage
    max(exp(-sum of the 32 largest variances), 1e-10). It depends on the scale of F through it, and
    the images judged are those fitted.

    Args:
        features: (n, d).
        labels: (n,) classes; more images than classes.
        decomposition: of the same features, when made before.

    Raises:
        SelectionError: features or labels cannot be scored, such as one image per class.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rows, groups = labelled(features, labels)
    if len(rows) <= groups.n_classes:
        raise SelectionError(
            f"NCTI needs more images than classes, there are {len(rows)} of {groups.n_classes}"
        )
    parts = decomposition_of(rows, decomposition)
    kept = parts.principal(DIMENSIONS)
    variances = parts.singular[: min(IN_SHRINKAGE, kept.shape[1])] ** 2 / (parts.n - 1)
    a = max(math.exp(-variances.sum()), LEAST_SHRINKAGE)
    if parts.rank == 0:
        raise SelectionError("all features are constant: NCTI has nothing to project")
    if a == LEAST_SHRINKAGE:
        model = LinearDiscriminantAnalysis(solver="svd")
        kept = kept[:, : parts.rank]
    else:
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=a)
    projected = model.fit(kept, groups.codes).transform(kept)
    probabilities = model.predict_proba(kept)
    seli = np.linalg.svd(projected - projected.mean(axis=0), compute_uv=False).sum()
    ncc = probabilities[np.arange(len(rows)), groups.codes].mean()
    spread = sum(
        np.linalg.svd(probabilities[groups.codes == c], compute_uv=False).sum()
        for c in range(groups.n_classes)
    )
    return Ncti(float(seli), float(ncc), float(np.log(spread)), a)


def combine_ncti(terms: Sequence[Ncti]) -> np.ndarray:
    """Scores of a zoo: ncc + seli - vc, each scaled to 0 .. 1 over the zoo.

    A ranking of the zoo, no score of a model: one more model may change all.
    """
    seli, ncc, vc, _ = (min_max(np.array(column)) for column in zip(*terms, strict=True))
    return ncc + seli - vc
