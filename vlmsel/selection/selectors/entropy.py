"""Entropy: how widely a model spreads its probabilities."""

import numpy as np

from vlmsel.selection.label_free import LabelFree, mean_of_known
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class Entropy(LabelFree):
    """Score = mean entropy of a model's probabilities; needs all logits, not only the best."""

    name = "entropy"
    reads = ("entropy",)

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Average over the images."""
        return mean_of_known(answers.entropy)
