"""Ablation: DCD replaced by the Jensen-Shannon divergence."""

from vlmsel.selection.array_divergences import Divergence
from vlmsel.selection.profile_distances import PlainDistance
from vlmsel.selection.rank_weights import RankWeighting
from vlmsel.selection.registry import register


@register
class JensenShannon(RankWeighting):
    """`dcd-pooled` with the distance `jensen-shannon` of `PlainDistance` in place of DCD."""

    name = "jensen-shannon"

    def divergence(self) -> Divergence:
        """Return the distance."""
        return PlainDistance("jensen-shannon")
