"""Pair agreement: how often a model answers what another model answers."""

import numpy as np

from vlmsel.selection.estimators.pair_agreement_estimate import pair_agreement
from vlmsel.selection.label_free import LabelFree
from vlmsel.selection.registry import register
from vlmsel.selection.zoo_answers import ZooAnswers


@register
class PairAgreement(LabelFree):
    """Score = - mean share of the other models that give a model's answer."""

    name = "pair-agreement"

    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Compare each model with each other one."""
        return pair_agreement(answers.classes, answers.n_classes)
