"""Zero-shot classifier on labelled images: with labels, the estimator for zero-shot use."""

from typing import Any, NamedTuple

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.source_head import check_probabilities

LEAST = 1e-12


class ZeroShot(NamedTuple):
    """Results of a zero-shot classifier.

    Attributes:
        accuracy: share of the images classified right, higher is better.
        log_likelihood: mean ln of the probability of the true class, higher is better.
        clipped: images whose true class had a probability below 1e-12.
    """

    accuracy: float
    log_likelihood: float
    clipped: int


def zero_shot(probabilities: Any, labels: Any) -> ZeroShot:
    """Accuracy and log-likelihood of the class that a model names by its prompts.

    Args:
        probabilities: (n, classes of the task), the softmax over the prompts of the task's classes
            in the model's own temperature.
        labels: (n,) column of each image's class, integers; classes without an image are allowed.

    Raises:
        SelectionError: probabilities are none, or labels are no columns of theirs.
    """
    head = check_probabilities(probabilities)
    columns = np.asarray(labels)
    fits = columns.shape == (len(head),) and columns.dtype.kind in "iu"
    if not fits or columns.min() < 0 or columns.max() >= head.shape[1]:
        raise SelectionError(
            f"labels must be a column of {head.shape[1]} classes for each of {len(head)} images, "
            f"integers from 0 to {head.shape[1] - 1}, not {columns.dtype} of shape {columns.shape}"
        )
    true = head[np.arange(len(head)), columns]
    return ZeroShot(
        float((head.argmax(axis=1) == columns).mean()),
        float(np.log(np.maximum(true, LEAST)).mean()),
        int((true < LEAST).sum()),
    )
