"""The simplest rival of a task similarity: all sources count alike."""

import numpy as np

from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import weighted_ranks, weights_of_known
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class AverageRank(BaseSelector):
    """Score = mean of the ranks on the sources that know the model."""

    name = "average-rank"

    def prepare(self, problem: Problem) -> Scorer:
        """Lay out the accuracies of the sources."""
        arrays = problem.arrays

        def score(zoos: np.ndarray) -> Scores:
            ranks = arrays.ranks(zoos)
            weights = weights_of_known(np.ones(len(problem.sources)), ranks)
            return Scores(weighted_ranks(weights, ranks))

        return Scorer(arrays.known_models, problem.sources, score, arrays.unknown_models)
