"""Folds with the shares of the classes; copies of an image lie in one."""

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.label_groups import LabelGroups


def class_folds(
    groups: LabelGroups, copies: np.ndarray, *, most: int = 5, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split into min(most, images of the smallest class) stratified folds.

    An image that comes several times counts once, with the label of its first row; its other rows
    go with it.

    Args:
        groups: the classes.
        copies: (n,) of `copy_groups`.
        most: folds at most.
        seed: of the shuffle.

    Returns:
        (training rows, held-out rows) of each fold.

    Raises:
        SelectionError: a class has a single image.
    """
    from sklearn.model_selection import StratifiedKFold

    _, first, member = np.unique(copies, return_index=True, return_inverse=True)
    order = np.sort(first)
    codes = groups.codes[order]
    counts = np.bincount(codes, minlength=groups.n_classes)
    folds = min(most, int(counts.min()))
    if folds < 2:
        small = [str(name) for name in groups.names[counts < 2][:3]]
        raise SelectionError(
            f"{int((counts < 2).sum())} classes have fewer than two different images "
            f"({', '.join(small)}{', ...' if (counts < 2).sum() > 3 else ''}): nothing can be held "
            "out; label more images or leave these classes out"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    place = np.empty(len(order), dtype=int)
    for number, (_, held_out) in enumerate(splitter.split(codes, codes)):
        place[held_out] = number
    of_first = np.empty(len(copies), dtype=int)
    of_first[order] = place
    fold = of_first[first[member]]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]
