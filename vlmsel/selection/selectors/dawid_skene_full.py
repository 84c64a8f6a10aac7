"""Dawid-Skene with a confusion matrix of each model."""

import numpy as np

from vlmsel.selection.estimators.dawid_skene_estimate import dawid_skene
from vlmsel.selection.label_free import LabelFree
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class DawidSkeneFull(LabelFree):
    """Score = - mean probability of a model's answers (`estimators.dawid_skene`)."""

    name = "dawid-skene-full"

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Fit classes and confusion matrices together."""
        return dawid_skene(answers.classes, answers.n_classes)
