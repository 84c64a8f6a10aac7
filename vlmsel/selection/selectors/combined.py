"""Average rank and DCD, mixed as the sources themselves advise."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from vlmsel.errors import SelectionError
from vlmsel.selection.divergence import EpsMode, dcd_matrix
from vlmsel.selection.knowledge import known_models, value_matrix
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.profiles import MODEL
from vlmsel.selection.rank_weighting import PROFILES, profiles_of, scored, unknown_models
from vlmsel.selection.ranking import TIE_DECIMALS
from vlmsel.selection.registry import register
from vlmsel.selection.scoring import pooled_divergence, source_weights, zoo_ranks
from vlmsel.selection.selector import BaseSelector, Scorer, Scores
from vlmsel.selection.similarity import scaled_divergence

TOP = 5

Share = Annotated[float, Field(ge=0, le=1)]
Sharpness = Annotated[float, Field(ge=0)]


@register
class Combined(BaseSelector):
    """Weights (1 - a) / n + a * w, with w the weights of `dcd-pooled` at sharpness gamma.

    a and gamma are those with the best mean NDCG@5 in a leave-one-out over the sources alone:
    each source is the target once and the other sources rank the zoo for it. The target takes no
    part in the choice. Equal means go to the smaller a, then to the smaller gamma.

    Attributes:
        shares: values of a to choose from; 0 is average rank.
        gammas: values of gamma to choose from.
        eta: see `dcd_matrix`.
        eps: see `dcd_matrix`.
        eps_mode: see `dcd_matrix`.
    """

    name = "combined"
    needs: ClassVar[Needs] = replace(PROFILES, n_sources=2)

    shares: tuple[Share, ...] = Field(default=(0.0, 0.25, 0.5, 0.75, 1.0), min_length=1)
    gammas: tuple[Sharpness, ...] = Field(default=(1.0, 2.0, 4.0, 8.0), min_length=1)
    eta: float = 2.0
    eps: float = Field(default=1e-8, gt=0)
    eps_mode: EpsMode = "absolute"

    def prepare(self, problem: Problem) -> Scorer:
        """Compute the divergences between all tasks once.

        Raises:
            SelectionError: there are no profiles, none of the target, or fewer than two sources.
        """
        sources = problem.sources
        if len(sources) < 2:
            raise SelectionError(
                f"selector combined learns from at least 2 sources, {problem.target} has 1; "
                "use average-rank"
            )
        pairs = dcd_matrix(
            profiles_of(problem, self.name), eta=self.eta, eps=self.eps, eps_mode=self.eps_mode
        )
        models = known_models(problem.accuracies, sources)
        accuracy = value_matrix(problem.accuracies, "acc1", models, sources)
        outer = _divergence(pairs, problem.target, sources, models)
        others = [tuple(s for s in sources if s != inner) for inner in sources]
        inner = [
            _divergence(pairs, s, rest, models) for s, rest in zip(sources, others, strict=True)
        ]
        mixes = _mixes(self.shares, self.gammas)

        def score(zoos: np.ndarray) -> Scores:
            # The choice must not depend on the order in which a zoo is given.
            named = np.sort(zoos, axis=1)
            of_zoos = accuracy[named]
            ranks = zoo_ranks(of_zoos)
            quality = np.zeros((len(zoos), len(mixes)))
            for column, divergence in enumerate(inner):
                basis = _basis(divergence[named], self.gammas)
                values = _mixed_scores(mixes, basis, np.delete(ranks, column, axis=-1))
                quality += ndcg(of_zoos[:, None, :, column], values)
            # Sums of equal terms in another order differ in the last digits.
            best = mixes[np.round(quality, 9).argmax(axis=1)]
            weights = best[:, None, :] @ _basis(outer[zoos], self.gammas)
            return scored(weights, zoo_ranks(accuracy[zoos]))

        return Scorer(tuple(models), sources, score, tuple(unknown_models(problem, models)))


def _divergence(
    pairs: pl.DataFrame, target: str, sources: Sequence[str], models: Sequence[tuple[str, str]]
) -> np.ndarray:
    """Z-scored DCD of some sources to one target, (models, sources)."""
    rows = pairs.filter(pl.col("target") == target, pl.col("source").is_in(list(sources)))
    scaled = rows.with_columns(dcd=scaled_divergence("spread"))
    return value_matrix(
        scaled.select(*MODEL, "source", "dcd"), "dcd", models, sources, task="source"
    )


def _mixes(shares: Sequence[float], gammas: Sequence[float]) -> np.ndarray:
    """Every choice as a row of factors of the basis, (choices, 1 + gammas), the tamest first."""
    rows = np.zeros((len(shares), len(gammas), 1 + len(gammas)))
    for i, share in enumerate(sorted(shares)):
        rows[i, :, 0] = 1 - share
        rows[i, :, 1:] = share * np.eye(len(gammas))
    return rows.reshape(-1, 1 + len(gammas))


def _basis(divergence: np.ndarray, gammas: Sequence[float]) -> np.ndarray:
    """Uniform weights and those of each sharpness, (zoos, 1 + gammas, sources)."""
    pooled = pooled_divergence(divergence)
    uniform = np.full(pooled.shape, 1 / pooled.shape[-1])
    weights = [source_weights(pooled, gamma) for gamma in sorted(gammas)]
    # Where no model has a profile of the inner target there is only average rank.
    known = [np.where(np.isfinite(w), w, uniform) for w in weights]
    return np.concatenate([uniform, *known], axis=1)


def _mixed_scores(mixes: np.ndarray, basis: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Scores under every choice, (zoos, choices, models): `weighted_ranks` as matrix products."""
    known = np.isfinite(ranks)
    total = mixes @ (basis @ np.where(known, ranks, 0.0).swapaxes(-1, -2))
    weight = mixes @ (basis @ known.astype(np.float64).swapaxes(-1, -2))
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


def ndcg(accuracy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """NDCG@5 with relevance = accuracy, min-max scaled over the zoo.

    Args:
        accuracy: (..., models), NaN counts as relevance 0.
        scores: (..., models), lower is better; ties in the order of the models.

    Returns:
        The leading shape; 0 where no model is better than another.
    """
    known = np.isfinite(accuracy)
    low = np.where(known, accuracy, np.inf).min(axis=-1, keepdims=True)
    relevance = np.where(known, accuracy - low, 0.0)
    discount = 1 / np.log2(np.arange(2, 2 + min(TOP, accuracy.shape[-1])))
    order = np.argsort(scores.round(TIE_DECIMALS), axis=-1, kind="stable")[..., : len(discount)]
    full = np.broadcast_to(relevance, scores.shape)
    gain = (np.take_along_axis(full, order, axis=-1) * discount).sum(axis=-1)
    best = (-np.sort(-full, axis=-1)[..., : len(discount)] * discount).sum(axis=-1)
    return np.where(best > 0, gain / np.where(best > 0, best, 1.0), 0.0)
