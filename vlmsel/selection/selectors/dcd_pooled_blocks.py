"""DCD in units of its own spread, averaged over the zoo."""

from vlmsel.selection.registry import register
from vlmsel.selection.selectors.dcd_scaled_blocks import DcdScaled


@register
class DcdPooled(DcdScaled):
    """`dcd-scaled` with D averaged over the models: one vector of weights for the whole zoo.

    A model without profiles is ranked by the weights of the others.
    """

    name = "dcd-pooled"

    pooled: bool = True
