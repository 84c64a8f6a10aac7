"""Confidence: how sure a model is of its answers, in its own temperature."""

import numpy as np

from vlmsel.selection.label_free import LabelFree, mean_of_known
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class Confidence(LabelFree):
    """Score = - mean probability of a model's answers."""

    name = "confidence"
    reads = ("confidence",)

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Average over the images."""
        return mean_of_known(answers.confidence)
