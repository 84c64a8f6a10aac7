"""LEEP: log-likelihood of labels predicted through a source head (arXiv 2002.12462)."""

from typing import Any, NamedTuple

import numpy as np

from vlmsel.selection.scores.support.source_head import check_head

LEAST = 1e-12


class Leep(NamedTuple):
    """LEEP and its kin.

    Attributes:
        score: mean log-probability, at most 0, higher is better.
        mean_probability: the same without the logarithm, as some published code has it.
        clipped: images whose probability was below 1e-12.
    """

    score: float
    mean_probability: float
    clipped: int


def leep(probabilities: Any, labels: Any) -> Leep:
    """LEEP = mean_i ln sum_z P(y_i | z) P_iz, with P(y | z) from J = onehot(y)' P / n.

    Mind the order of the arguments: the head first. Columns of the head that no image uses drop
    out.

    Args:
        probabilities: (n, classes of the source), rows sum to 1. CLIP models have no head: the
            softmax over one vocabulary of prompts, the same for all models.
        labels: (n,) classes.

    Raises:
        SelectionError: probabilities or labels cannot be scored.
    """
    head, groups = check_head(probabilities, labels)
    joint = groups.sums(head)
    used = joint.sum(axis=0)
    given = joint / np.where(used > 0, used, 1.0)
    predicted = (given[groups.codes] * head).sum(axis=1)
    clipped = np.maximum(predicted, LEAST)
    return Leep(
        float(np.log(clipped).mean()), float(predicted.mean()), int((predicted < LEAST).sum())
    )
