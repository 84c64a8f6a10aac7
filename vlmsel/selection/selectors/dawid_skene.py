"""Dawid-Skene with one coin per model: the agreement of the answers, weighed by what it tells."""

import numpy as np

from vlmsel.selection.estimators.one_coin import one_coin
from vlmsel.selection.label_free import LabelFree
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class DawidSkene(LabelFree):
    """Score = - accuracy that one-coin Dawid-Skene believes (`estimators.one_coin`)."""

    name = "dawid-skene"

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Fit classes and accuracies together."""
        return one_coin(answers.classes, answers.n_classes).accuracy
