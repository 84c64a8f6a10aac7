"""Selectors that look at a zoo's answers on unlabelled images, and at nothing else."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import known_models
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.selector import BaseSelector, Scorer, Scores
from vlmsel.selection.zoo_answers import ZooAnswers

NO_ANSWER = "no answer on the images"


class LabelFree(BaseSelector):
    """Score = - an estimate of accuracy made of answers without labels; ties by average rank.

    Where most models are wrong together, those that compare answers are worse than chance, and
    nothing in the unlabelled images says so.
    """

    needs: ClassVar[Needs] = Needs(
        on_target=frozenset({"prediction"}), n_sources=0, class_names=True
    )

    @abstractmethod
    def estimate(self, answers: ZooAnswers) -> np.ndarray:
        """Estimate the accuracies: (models,), higher is better, NaN where nothing is known."""

    def prepare(self, problem: Problem) -> Scorer:
        """Look the answers up; models without an answer are left out.

        Raises:
            SelectionError: there are no answers on the target's images.
        """
        answers = problem.answers
        if answers is None or not answers.models:
            raise SelectionError(
                f"selector {self.name} needs the answers of the models on {problem.target}: give "
                "class names, and let the models run on the images"
            )
        missing = set(known_models(problem.accuracies, problem.sources)) - set(answers.models)

        def score(zoos: np.ndarray) -> Scores:
            # An estimate of one model may depend on which others there are.
            return Scores(np.stack([-self.estimate(answers.select_models(zoo)) for zoo in zoos]))

        left_out = tuple((key, NO_ANSWER) for key in sorted(missing))
        return Scorer(answers.models, problem.sources, score, left_out)


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean of each row over the images that are known; NaN for none."""
    known = np.isfinite(values)
    n = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
