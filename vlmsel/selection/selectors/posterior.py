"""The selector that takes labels: hits on a few images, joined with the sources."""

from typing import ClassVar

import numpy as np

from vlmsel.columns import IMAGENET_NAMES
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.needs import Needs
from vlmsel.selection.posterior.observation import observe_hits
from vlmsel.selection.posterior.prior import MIN_SOURCES
from vlmsel.selection.posterior.zoo_posteriors import zoo_scores
from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import weighted_ranks, weights_of_known, zoo_ranks
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class PosteriorSelector(BaseSelector):
    """Score = - posterior mean of arcsin(sqrt(accuracy)), given hits on labelled images.

    The prior is that of the sources (`vlmsel.selection.posterior`), ImageNet's accuracies among
    them where they are known. Without labels the score is average rank; with labels and fewer than
    two sources that know a zoo it is that of the hits alone, and models without hits come last.
    """

    name = "posterior"
    needs: ClassVar[Needs] = Needs(labels="few")

    def prepare(self, problem: Problem) -> Scorer:
        """Lay out accuracies and hits; a model in no source is ranked by its hits."""
        arrays = problem.arrays
        known = arrays.known_models
        hits = problem.hits
        labelled = hits is not None and len(hits.hits) > 0
        models = tuple(sorted({*known, *_with_hits(problem)})) if labelled else known
        references = [n for n in IMAGENET_NAMES if arrays.is_known(n)]
        tasks = [*problem.sources, *(n for n in references if n not in problem.sources)]
        accuracy = arrays.accuracy_of(models, tasks)
        n_sources = len(problem.sources)
        shown = hits.of(models) if hits is not None else np.zeros((0, len(models)))

        def score(zoos: np.ndarray) -> Scores:
            if not labelled:
                ranks = zoo_ranks(accuracy[zoos][..., :n_sources])
                return Scores(weighted_ranks(weights_of_known(np.ones(n_sources), ranks), ranks))
            of_sources = np.isfinite(accuracy[zoos]).any(axis=1).sum(axis=-1)
            if of_sources.min() >= MIN_SOURCES:
                return Scores(-zoo_scores(accuracy.T, shown, zoos))
            return Scores(_score_hits(shown)[zoos])

        return Scorer(models, problem.sources, score, arrays.others(models))


def _with_hits(problem: Problem) -> list[ModelKey]:
    """Models with at least one labelled image."""
    if problem.hits is None:
        return []
    known = np.asarray(np.isfinite(problem.hits.hits).any(axis=0))
    return [key for key, has_any in zip(problem.hits.models, known, strict=True) if has_any]


def _score_hits(hits: np.ndarray) -> np.ndarray:
    """Scores of the hits alone, lower is better; a model without any lies behind all others."""
    seen = observe_hits(hits)
    scores = np.full(hits.shape[1], 1.0)
    scores[seen.models] = -seen.y
    return scores
