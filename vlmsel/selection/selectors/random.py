"""Chance: what any selector must beat."""

import zlib

import numpy as np

from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import register
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class Random(BaseSelector):
    """Score = a uniform number in [0, 1).

    Attributes:
        seed: another seed gives another ranking; so does another target.
    """

    name = "random"

    seed: int = 0

    def prepare(self, problem: Problem) -> Scorer:
        """Every call of `score` with as many zoos and models gives the same numbers."""
        arrays = problem.arrays
        entropy = [self.seed % 2**32, zlib.crc32(problem.target.encode())]

        def score(zoos: np.ndarray) -> Scores:
            return Scores(np.random.default_rng(entropy).random(zoos.shape))

        return Scorer(arrays.known_models, problem.sources, score, arrays.unknown_models)
