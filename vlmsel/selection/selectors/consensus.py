"""Consensus: how often a model answers what most of the other models answer."""

import numpy as np

from vlmsel.selection.estimators.vote import vote
from vlmsel.selection.label_free import LabelFree
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class Consensus(LabelFree):
    """Score = - mean agreement with the plurality of the others (`estimators.vote`)."""

    name = "consensus"

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Compare each model with the vote of the others."""
        return vote(answers.classes, answers.n_classes)
