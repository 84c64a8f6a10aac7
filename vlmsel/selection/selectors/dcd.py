"""The published selector."""

from pydantic import Field

from vlmsel.selection.array_divergences import DcdDivergence, Divergence
from vlmsel.selection.dcd_table import EpsMode
from vlmsel.selection.rank_weights import RankWeighting
from vlmsel.selection.registry import register
from vlmsel.selection.similarity import Scale


@register
class Dcd(RankWeighting):
    """Directional Conductance Divergence with literal gamma, per model.

    `array_divergences.DcdDivergence` computes it for selectors, `dcd_matrix` for tables; the
    formula is in docs/internals/selection.md.

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

    def divergence(self) -> Divergence:
        """Return DCD."""
        return DcdDivergence(self.eta, self.eps, self.eps_mode)
