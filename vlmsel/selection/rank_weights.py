"""Selectors that weigh the ranks on the source tasks by a similarity of tasks."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import Field

from vlmsel.selection.array_divergences import Divergence
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.score_arrays import (
    pooled_divergence,
    source_weights,
    spread_divergence,
    weighted_ranks,
    weights_of_known,
)
from vlmsel.selection.selector import BaseSelector, Scorer, Scores
from vlmsel.selection.similarity import Scale

PROFILES = Needs(on_sources=frozenset({"profile"}), on_target=frozenset({"profile"}))


class RankWeighting(BaseSelector):
    """Score = sum_S w_S r_S, w = softmax over sources of -gamma * D_S.

    The formula is in docs/internals/selection.md.

    Attributes:
        gamma: sharpness of the weights.
        scale: unit of D: the divergence itself (`none`) or z-scored over the sources (`spread`).
        pooled: average D over the models of the zoo, so that all share one vector of weights.
    """

    needs: ClassVar[Needs] = PROFILES

    gamma: float = Field(default=2.0, ge=0)
    scale: Scale = "spread"
    pooled: bool = True

    @abstractmethod
    def divergence(self) -> Divergence:
        """Return how to compare the sources with the target."""

    def prepare(self, problem: Problem) -> Scorer:
        """Look the divergences of the target up once; see `Scorer`.

        Raises:
            SelectionError: there are no profiles, or none of the target.
        """
        arrays, measure = problem.arrays, self.divergence()
        arrays.require_profiles(self.name)
        of_all = self._scale(arrays.divergence(measure))
        # Pooled, a model of the pool counts for the similarity only where the zoo holds it.
        is_ranked = np.isfinite(of_all[arrays.known]).any(axis=1) | self.pooled
        ranked = np.flatnonzero(is_ranked)
        divergence = of_all[arrays.known[ranked]]
        reason = f"no profile of {problem.target} and of a source"
        left_out = [(arrays.known_models[i], reason) for i in np.flatnonzero(~is_ranked)]

        def score(zoos: np.ndarray) -> Scores:
            return score_by_weights(self._weights(divergence[zoos]), arrays.ranks(ranked[zoos]))

        def score_drawn(targets: np.ndarray) -> Scores:
            drawn = self._scale(arrays.drawn_divergence(measure, targets))
            ranks = arrays.ranks(ranked[None])
            return score_by_weights(self._weights(drawn[:, arrays.known[ranked]]), ranks)

        return Scorer(
            tuple(arrays.known_models[i] for i in ranked),
            problem.sources,
            score,
            (*left_out, *arrays.unknown_models),
            score_drawn,
        )

    def _scale(self, divergence: np.ndarray) -> np.ndarray:
        return spread_divergence(divergence) if self.scale == "spread" else divergence

    def _weights(self, divergence: np.ndarray) -> np.ndarray:
        shared = pooled_divergence(divergence) if self.pooled else divergence
        return source_weights(shared, self.gamma)


def score_by_weights(weights: np.ndarray, ranks: np.ndarray) -> Scores:
    """Weigh ranks; shapes as in `score_arrays`."""
    weights = weights_of_known(weights, ranks)
    return Scores(weighted_ranks(weights, ranks), weights)
