"""Average rank and DCD, mixed as the sources themselves advise."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from vlmsel.errors import SelectionError
from vlmsel.selection.array_divergences import DcdDivergence
from vlmsel.selection.dcd_table import EpsMode
from vlmsel.selection.inner_divergence import inner_divergence
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.rank_weights import PROFILES, score_by_weights
from vlmsel.selection.ranking import TIE_DECIMALS
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import pooled_divergence, source_weights, spread_divergence
from vlmsel.selection.selector import BaseSelector, Scorer, Scores

TOP = 5
# Scores that are held at a time while zoos choose.
BATCH_SCORES = 4_000_000

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
        arrays = problem.arrays
        arrays.require_profiles(self.name)
        dcd = DcdDivergence(self.eta, self.eps, self.eps_mode)
        inner = inner_divergence(arrays, dcd)
        outer = spread_divergence(arrays.divergence(dcd))[arrays.known]
        accuracy = arrays.accuracy[arrays.known]
        mixes = _list_mixes(self.shares, self.gammas)

        def choose(zoos: np.ndarray) -> np.ndarray:
            """Factors of the basis that serve each zoo best, (zoos, 1 + gammas)."""
            # The choice must not depend on the order in which a zoo is given.
            named = np.sort(zoos, axis=1)
            ranks = arrays.ranks(named)
            basis = _inner_basis(inner.pool(named), self.gammas)
            values = _score_mixes(mixes, basis, ranks)
            quality = ndcg(accuracy[named].swapaxes(1, 2)[:, :, None], values).sum(axis=1)
            # Sums of equal terms in another order differ in the last digits.
            return mixes[np.round(quality, 9).argmax(axis=1)]

        def score(zoos: np.ndarray) -> Scores:
            size = max(1, BATCH_SCORES // max(1, zoos.shape[1] * len(sources) * len(mixes)))
            batches = [zoos[at : at + size] for at in range(0, len(zoos), size)]
            best = np.concatenate([choose(batch) for batch in batches])
            weights = best[:, None, :] @ _basis(outer[zoos], self.gammas)
            return score_by_weights(weights, arrays.ranks(zoos))

        everyone = np.arange(len(arrays.known))[None]

        @cache
        def choice() -> np.ndarray:
            return choose(everyone)

        def score_drawn(targets: np.ndarray) -> Scores:
            drawn = spread_divergence(arrays.drawn_divergence(dcd, targets))[:, arrays.known]
            weights = choice()[:, None, :] @ _basis(drawn, self.gammas)
            return score_by_weights(weights, arrays.ranks(everyone))

        return Scorer(arrays.known_models, sources, score, arrays.unknown_models, score_drawn)


def _list_mixes(shares: Sequence[float], gammas: Sequence[float]) -> np.ndarray:
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


def _inner_basis(pooled: np.ndarray, gammas: Sequence[float]) -> np.ndarray:
    """The basis of every source as a target of the others.

    Args:
        pooled: (zoos, sources as targets, sources), NaN on the diagonal.
        gammas: sharpnesses.

    Returns:
        (zoos, sources as targets, 1 + gammas, sources), 0 on the diagonal.
    """
    n_sources = pooled.shape[-1]
    uniform = np.broadcast_to((1 - np.eye(n_sources)) / (n_sources - 1), pooled.shape)
    weights = [source_weights(pooled, gamma) for gamma in sorted(gammas)]
    # Where no model has a profile of the inner target there is only average rank.
    known = [np.where(np.isfinite(w), w, uniform) for w in weights]
    return np.stack([uniform, *known], axis=2)


def _score_mixes(mixes: np.ndarray, basis: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Scores under every choice: `weighted_ranks` as matrix products.

    Args:
        mixes: (choices, 1 + gammas).
        basis: (zoos, targets, 1 + gammas, sources).
        ranks: (zoos, models, sources), NaN where unknown.

    Returns:
        (zoos, targets, choices, models).
    """
    n_zoos, n_targets, n_basis, n_sources = basis.shape
    flat = basis.reshape(n_zoos, n_targets * n_basis, n_sources)

    def mix(values: np.ndarray) -> np.ndarray:
        of_basis = flat @ values.swapaxes(-1, -2)
        return mixes @ of_basis.reshape(n_zoos, n_targets, n_basis, -1)

    known = np.isfinite(ranks)
    total = mix(np.where(known, ranks, 0.0))
    # Where every source knows every model all columns of the weights are alike.
    weight = mix(np.ones((n_zoos, 1, n_sources)) if known.all() else known.astype(np.float64))
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
    order = _smallest_places(scores.round(TIE_DECIMALS), len(discount))
    full = np.broadcast_to(relevance, scores.shape)
    gain = (np.take_along_axis(full, order, axis=-1) * discount).sum(axis=-1)
    best = (-np.sort(-relevance, axis=-1)[..., : len(discount)] * discount).sum(axis=-1)
    return np.where(best > 0, gain / np.where(best > 0, best, 1.0), 0.0)


def _smallest_places(scores: np.ndarray, k: int) -> np.ndarray:
    """Places of the k smallest, (..., k), equal ones in order: the head of a stable argsort."""
    if not np.isfinite(scores).all():
        return np.argsort(scores, axis=-1, kind="stable")[..., :k]
    # Taking the smallest k times is a fraction of the work of sorting a zoo.
    remaining, found = scores.copy(), np.empty((*scores.shape[:-1], k), dtype=np.intp)
    for place in range(k):
        smallest = remaining.argmin(axis=-1)[..., None]
        found[..., place] = smallest[..., 0]
        np.put_along_axis(remaining, smallest, np.inf, axis=-1)
    return found
