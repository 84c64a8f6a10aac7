"""TMI: how far the images of a class lie apart (CVPR 2023); more is taken for better."""

from typing import Any

from vlmsel.selection.scores.support.label_groups import labelled


def tmi(features: Any, labels: Any) -> float:
    """Mean over images of the squared distance to the class mean.

    Args:
        features: (n, d); the value depends on their scale.
        labels: (n,) classes.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    return float(((rows - groups.means(rows)[groups.codes]) ** 2).sum(axis=1).mean())
