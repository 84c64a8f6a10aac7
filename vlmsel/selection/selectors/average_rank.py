"""The simplest rival of a task similarity: all sources count alike."""

import numpy as np

from vlmsel.selection.knowledge import known_models, value_matrix
from vlmsel.selection.problem import Problem
from vlmsel.selection.rank_weighting import unknown_models
from vlmsel.selection.registry import register
from vlmsel.selection.scoring import weighted_ranks, weights_of_known, zoo_ranks
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class AverageRank(BaseSelector):
    """Score = mean of the ranks on the sources that know the model."""

    name = "average-rank"

    def prepare(self, problem: Problem) -> Scorer:
        """Lay out the accuracies of the sources."""
        models = known_models(problem.accuracies, problem.sources)
        accuracy = value_matrix(problem.accuracies, "acc1", models, problem.sources)

        def score(zoos: np.ndarray) -> Scores:
            ranks = zoo_ranks(accuracy[zoos])
            weights = weights_of_known(np.ones(len(problem.sources)), ranks)
            return Scores(weighted_ranks(weights, ranks))

        return Scorer(tuple(models), problem.sources, score, tuple(unknown_models(problem, models)))
