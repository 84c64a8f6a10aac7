"""Linear discriminant with shrunk covariances, judged on held-out folds."""

from typing import Any

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.class_folds import class_folds
from vlmsel.selection.scores.support.image_copies import copy_groups
from vlmsel.selection.scores.support.label_groups import labelled

FOLDS = 5


def lda(
    features: Any,
    labels: Any,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    images: Any = None,
) -> float:
    """Accuracy of scikit-learn's discriminant (lsqr, shrinkage auto) over stratified folds.

    Args:
        features: (n, d).
        labels: (n,) classes, two images each at least.
        folds: at most; as many as the smallest class has images where that is less. 0 judges the
            images that were fitted, which flatters.
        seed: of the folds.
        images: (n,) identities: copies of an image lie in one fold.

    Raises:
        SelectionError: features or labels cannot be scored, such as one image per class.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rows, groups = labelled(features, labels)
    everything = np.arange(len(rows))
    splits = [(everything, everything)]
    if folds:
        splits = class_folds(groups, copy_groups(images, len(rows)), most=folds, seed=seed)
    if min(len(training) for training, _ in splits) <= groups.n_classes:
        raise SelectionError(
            f"a discriminant of {groups.n_classes} classes needs more images to fit on than "
            f"classes, and {len(rows)} images leave too few; label 3 a class"
        )
    right = 0
    for training, held_out in splits:
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        model.fit(rows[training], groups.codes[training])
        right += int(np.equal(model.predict(rows[held_out]), groups.codes[held_out]).sum())
    return right / sum(len(held_out) for _, held_out in splits)
