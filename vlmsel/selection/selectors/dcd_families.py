"""Task similarity pooled over families of models by the ranks of the sources."""

import numpy as np

from vlmsel.selection.donor_weights import DonorWeighting
from vlmsel.selection.problem import Problem
from vlmsel.selection.rank_weights import score_by_weights
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import pooled_divergence, zoo_ranks
from vlmsel.selection.selector import Scorer, Scores
from vlmsel.selection.tower_families import family_of


@register
class DcdFamilies(DonorWeighting):
    """`dcd-pooled` with the rank of each source by DCD in place of DCD, every family alike loud.

    A model ranks the sources by its own DCD, within its own blocks; ranks are averaged over the
    models of a family, then over the families. No scale and no block of two models is compared.
    """

    name = "dcd-families"

    def prepare(self, problem: Problem) -> Scorer:
        """Rank the sources once for every model; see `Scorer`.

        Raises:
            SelectionError: there are no profiles, or none of the target.
        """
        arrays = problem.arrays
        arrays.require_profiles(self.name)
        names = [family_of(model) for model, _ in arrays.known_models]
        families = np.unique(names, return_inverse=True)[1]
        ranks_of_sources = rank_sources(arrays.divergence(self.dcd)[arrays.known])

        def score(zoos: np.ndarray) -> Scores:
            pooled = pool_families(ranks_of_sources[zoos], families[zoos])
            return score_by_weights(self.weigh(pooled), arrays.ranks(zoos))

        def score_drawn(targets: np.ndarray) -> Scores:
            drawn = rank_sources(arrays.drawn_divergence(self.dcd, targets)[:, arrays.known])
            pooled = pool_families(drawn, np.broadcast_to(families, drawn.shape[:2]))
            ranks = arrays.ranks(np.arange(len(arrays.known))[None])
            return score_by_weights(self.weigh(pooled), ranks)

        return Scorer(
            arrays.known_models, problem.sources, score, arrays.unknown_models, score_drawn
        )


def rank_sources(divergence: np.ndarray) -> np.ndarray:
    """Ranks (..., models, sources) of the sources for each model, the nearest 1; NaN if unknown."""
    return zoo_ranks(-divergence.swapaxes(-1, -2)).swapaxes(-1, -2)


def pool_families(values: np.ndarray, families: np.ndarray) -> np.ndarray:
    """Mean over the models of each family that know a source, then over the families.

    Args:
        values: (zoos, models, sources), NaN where unknown.
        families: (zoos, models), numbers of families.

    Returns:
        (zoos, 1, sources).
    """
    means = [
        pooled_divergence(np.where((families == family)[..., None], values, np.nan))
        for family in np.unique(families)
    ]
    return pooled_divergence(np.concatenate(means, axis=1))
