"""DCD in units of its own spread, so that gamma means the same on every target."""

from pydantic import Field

from vlmsel.selection.registry import register
from vlmsel.selection.selectors.dcd import Dcd
from vlmsel.selection.similarity import Scale


@register
class DcdScaled(Dcd):
    """`dcd` with D = (DCD - mean) / std over the sources of one model and target."""

    name = "dcd-scaled"

    gamma: float = Field(default=2.0, ge=0)
    scale: Scale = "spread"
