"""NCE: minus the entropy of the labels, given the source head's class (arXiv 1908.08142)."""

from typing import Any

import numpy as np

from vlmsel.selection.scores.support.source_head import check_head


def nce(probabilities: Any, labels: Any) -> float:
    """NCE = sum over y, z of J ln(J / J_z), z the head's choice; -ln C to 0, higher is better.

    Mind the order of the arguments: the head first (LogME's published columns have it swapped).

    Args:
        probabilities: (n, classes of the source), rows sum to 1.
        labels: (n,) classes.

    Raises:
        SelectionError: probabilities or labels cannot be scored.
    """
    head, groups = check_head(probabilities, labels)
    choice = head.argmax(axis=1)
    pairs, counts = np.unique(np.stack([choice, groups.codes], axis=1), axis=0, return_counts=True)
    of_choice = np.bincount(choice, minlength=head.shape[1])[pairs[:, 0]]
    return float((counts * np.log(counts / of_choice)).sum() / len(choice))
