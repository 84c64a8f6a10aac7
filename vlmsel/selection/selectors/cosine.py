"""Ablation: DCD replaced by the cosine distance."""

from vlmsel.selection.array_divergences import Divergence
from vlmsel.selection.profile_distances import PlainDistance
from vlmsel.selection.rank_weights import RankWeighting
from vlmsel.selection.registry import register


@register
class Cosine(RankWeighting):
    """`dcd-pooled` with the distance `cosine` of `PlainDistance` in place of DCD."""

    name = "cosine"

    def divergence(self) -> Divergence:
        """Return the distance."""
        return PlainDistance("cosine")
