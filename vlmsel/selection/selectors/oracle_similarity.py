"""Bound on what a similarity of tasks could reach: the one selector that peeks."""

from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import value_matrix
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.rank_weights import score_by_weights
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import source_weights, zoo_ranks
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class OracleSimilarity(BaseSelector):
    """Score = sum_S w_S r_S with w = softmax of gamma * Spearman(source, target).

    The correlation is that of the true ranks of the zoo, which no one knows before the target is
    labelled. It bounds what one shared vector of weights of this form can do, and is for
    evaluation only.

    Attributes:
        gamma: sharpness of the weights.
    """

    name = "oracle-similarity"
    needs: ClassVar[Needs] = Needs(truth=True)

    gamma: float = Field(default=10.0, ge=0)

    def prepare(self, problem: Problem) -> Scorer:
        """Lay out the accuracies of sources and target.

        Raises:
            SelectionError: the problem does not carry the truth.
        """
        if problem.truth is None:
            raise SelectionError(
                "selector oracle-similarity needs the true accuracies of the target; "
                "it is for evaluation only"
            )
        arrays = problem.arrays
        truth = problem.truth.rename({"accuracy": "acc1"}).with_columns(task=pl.lit("target"))
        true = value_matrix(truth, "acc1", arrays.known_models, ["target"])

        def score(zoos: np.ndarray) -> Scores:
            ranks = arrays.ranks(zoos)
            return score_by_weights(
                source_weights(-spearman(ranks, zoo_ranks(true[zoos])), self.gamma), ranks
            )

        return Scorer(arrays.known_models, problem.sources, score, arrays.unknown_models)


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlate ranks over the models that both know.

    Args:
        a: ranks (..., models, sources), NaN where unknown.
        b: ranks (..., models, 1).

    Returns:
        (..., 1, sources), in -1 .. 1; 0 where either side does not vary.
    """
    known = np.isfinite(a) & np.isfinite(b)
    count = np.maximum(known.sum(axis=-2, keepdims=True), 1)
    parts = []
    for x in (a, np.broadcast_to(b, a.shape)):
        x = np.where(known, x, 0.0)
        parts.append(np.where(known, x - x.sum(axis=-2, keepdims=True) / count, 0.0))
    product = (parts[0] * parts[1]).sum(axis=-2, keepdims=True)
    scale = np.sqrt(
        (parts[0] ** 2).sum(axis=-2, keepdims=True) * (parts[1] ** 2).sum(axis=-2, keepdims=True)
    )
    return np.where(scale > 0, product / np.where(scale > 0, scale, 1.0), 0.0)
