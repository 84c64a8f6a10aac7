"""Selectors that weigh the ranks on the source tasks by a similarity of tasks."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey, known_models, value_matrix
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.profiles import MODEL
from vlmsel.selection.scoring import (
    pooled_divergence,
    source_weights,
    weighted_ranks,
    weights_of_known,
    zoo_ranks,
)
from vlmsel.selection.selector import BaseSelector, Scorer, Scores
from vlmsel.selection.similarity import Scale, scaled_divergence

PROFILES = Needs(on_sources=frozenset({"profile"}), on_target=frozenset({"profile"}))
NO_ACCURACY = "no accuracy on any source task"


class RankWeighting(BaseSelector):
    """Score = sum_S w_S r_S, w = softmax over sources of -gamma * D_S (METHOD.md, steps 6, 7).

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
    def divergence(self, problem: Problem) -> pl.DataFrame:
        """Compare every source with the target: model, pretrained, source, target, dcd."""

    def prepare(self, problem: Problem) -> Scorer:
        """Compute the divergences of the target once; see `Scorer`.

        Raises:
            SelectionError: there are no profiles, or none of the target.
        """
        table = self.divergence(problem).with_columns(dcd=scaled_divergence(self.scale))
        candidates = known_models(problem.accuracies, problem.sources)
        profiled = set(table.select(MODEL).unique().rows())
        models = candidates if self.pooled else [key for key in candidates if key in profiled]
        reason = f"no profile of {problem.target} and of a source"
        gone = [(key, reason) for key in candidates if not self.pooled and key not in profiled]
        gone += unknown_models(problem, candidates)
        # Pooled, a model of the pool speaks for the similarity only where the zoo holds it.
        divergence = value_matrix(table, "dcd", models, problem.sources, task="source")
        accuracy = value_matrix(problem.accuracies, "acc1", models, problem.sources)

        def score(zoos: np.ndarray) -> Scores:
            d = divergence[zoos]
            weights = source_weights(pooled_divergence(d) if self.pooled else d, self.gamma)
            return scored(weights, zoo_ranks(accuracy[zoos]))

        return Scorer(tuple(models), problem.sources, score, tuple(gone))


def scored(weights: np.ndarray, ranks: np.ndarray) -> Scores:
    """Weigh ranks; shapes as in `scoring`."""
    weights = weights_of_known(weights, ranks)
    return Scores(weighted_ranks(weights, ranks), weights)


def unknown_models(problem: Problem, known: Sequence[ModelKey]) -> list[tuple[ModelKey, str]]:
    """Name the models of the problem that no source knows."""
    frames = (
        [problem.accuracies] if problem.profiles is None else [problem.accuracies, problem.profiles]
    )
    named = {key for frame in frames for key in frame.select(MODEL).unique().rows()}
    return [(key, NO_ACCURACY) for key in sorted(named - set(known))]


def profiles_of(problem: Problem, selector: str) -> pl.DataFrame:
    """Return the task profiles of sources and target.

    Raises:
        SelectionError: there are none, none of the target, or none to compare it with.
    """
    if problem.profiles is None:
        raise SelectionError(f"selector {selector} needs profiles; run `vlmsel profile` first")
    profiles = problem.profiles.filter(pl.col("task").is_in([*problem.sources, problem.target]))
    if not profiles["task"].eq(problem.target).any():
        raise SelectionError(f"no model has a profile of {problem.target}; measure it first")
    of_target = pl.col("task") == problem.target
    if (
        profiles.filter(of_target)
        .join(profiles.filter(~of_target), on=MODEL, how="semi")
        .is_empty()
    ):
        raise SelectionError(
            f"no source of {problem.target} has a profile of a model that has one of "
            f"{problem.target}; measure the sources with the same models and settings"
        )
    return profiles
