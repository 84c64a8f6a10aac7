"""VEGA with its sign mended: distant class texts should have distant images."""

from typing import ClassVar

from vlmsel.selection.registry import register
from vlmsel.selection.selectors.vega import Vega


@register
class VegaMended(Vega):
    """`vega` with the correlation of text similarity and image distance turned."""

    name = "vega-mended"
    is_mended: ClassVar[bool] = True
