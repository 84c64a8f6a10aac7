"""The published selector."""

import polars as pl
from pydantic import Field

from vlmsel.selection.divergence import EpsMode, dcd_matrix
from vlmsel.selection.problem import Problem
from vlmsel.selection.rank_weighting import RankWeighting, profiles_of
from vlmsel.selection.registry import register
from vlmsel.selection.similarity import Scale


@register
class Dcd(RankWeighting):
    """Directional Conductance Divergence with literal gamma, per model (METHOD.md, steps 4 to 7).

    Attributes:
        eta: sharpness of the block importance.
        eps: floor of the denominators.
        eps_mode: `absolute`, as published, or `relative` to the target's profile.
    """

    name = "dcd"

    gamma: float = Field(default=5.0, ge=0)
    scale: Scale = "none"
    pooled: bool = False
    eta: float = 2.0
    eps: float = Field(default=1e-8, gt=0)
    eps_mode: EpsMode = "absolute"

    def divergence(self, problem: Problem) -> pl.DataFrame:
        """DCD of every source to the target."""
        return dcd_matrix(
            profiles_of(problem, self.name),
            eta=self.eta,
            eps=self.eps,
            eps_mode=self.eps_mode,
            targets=[problem.target],
        )
