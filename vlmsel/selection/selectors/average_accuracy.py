"""Average rank's sibling on accuracies."""

import numpy as np

from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import pooled_divergence, weighted_ranks, weights_of_known
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class AverageAccuracy(BaseSelector):
    """Score = 1 - mean accuracy over the sources.

    Where a source does not know a model, the difference from the source's mean over the zoo is
    averaged over the other sources, so that a model is not punished for being measured on hard
    tasks only.
    """

    name = "average-accuracy"

    def prepare(self, problem: Problem) -> Scorer:
        """Lay out the accuracies of the sources."""
        arrays = problem.arrays
        accuracy = arrays.accuracy[arrays.known]

        def score(zoos: np.ndarray) -> Scores:
            of_zoo = accuracy[zoos]
            source_mean = pooled_divergence(of_zoo)
            gain = of_zoo - source_mean
            mean_gain = weighted_ranks(weights_of_known(np.ones(len(problem.sources)), gain), gain)
            return Scores(1 - np.nanmean(source_mean, axis=-1) - mean_gain)

        return Scorer(arrays.known_models, problem.sources, score, arrays.unknown_models)
