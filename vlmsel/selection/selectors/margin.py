"""Margin: by how much a model's answers are more probable than the next class."""

import numpy as np

from vlmsel.selection.label_free import LabelFree, mean_of_known
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class Margin(LabelFree):
    """Score = - mean difference of the two largest probabilities."""

    name = "margin"
    reads = ("margin",)

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Average over the images."""
        return mean_of_known(answers.margin)
