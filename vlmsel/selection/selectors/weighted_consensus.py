"""Consensus in which sure models count for more."""

import numpy as np

from vlmsel.selection.estimators.vote import vote
from vlmsel.selection.label_free import LabelFree, mean_of_known
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class WeightedConsensus(LabelFree):
    """Score = - agreement with the vote of the others, weighted by (confidence - 1 / K)^2.

    A model of unknown confidence casts no vote.
    """

    name = "weighted-consensus"
    reads = ("confidence",)

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Weigh the votes by the mean confidence above chance, squared."""
        sure = mean_of_known(answers.confidence) - 1 / answers.n_classes
        votes = np.nan_to_num(np.maximum(sure, 0.0)) ** 2
        return vote(answers.classes, answers.n_classes, votes=votes)
