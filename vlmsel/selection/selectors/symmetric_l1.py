"""Ablation: DCD without direction and block importance."""

from vlmsel.selection.array_divergences import Divergence
from vlmsel.selection.profile_distances import PlainDistance
from vlmsel.selection.rank_weights import RankWeighting
from vlmsel.selection.registry import register


@register
class SymmetricL1(RankWeighting):
    """`dcd-pooled` with the distance `symmetric-l1` of `PlainDistance` in place of DCD."""

    name = "symmetric-l1"

    def divergence(self) -> Divergence:
        """Return the distance."""
        return PlainDistance("symmetric-l1")
