"""Ablation: DCD replaced by the cosine distance."""

import polars as pl

from vlmsel.selection.problem import Problem
from vlmsel.selection.profile_distances import profile_distances
from vlmsel.selection.rank_weighting import RankWeighting, profiles_of
from vlmsel.selection.registry import register


@register
class Cosine(RankWeighting):
    """`dcd-pooled` with the distance `cosine` of `profile_distances` in place of DCD."""

    name = "cosine"

    def divergence(self, problem: Problem) -> pl.DataFrame:
        """Distance of every source to the target."""
        return profile_distances(profiles_of(problem, self.name), problem.target, "cosine")
