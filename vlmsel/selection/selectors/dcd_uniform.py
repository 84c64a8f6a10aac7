"""Ablation: DCD without block importance."""

from vlmsel.selection.registry import register
from vlmsel.selection.selectors.dcd_pooled_blocks import DcdPooled


@register
class DcdUniform(DcdPooled):
    """`dcd-pooled` with eta = 0: all blocks count alike."""

    name = "dcd-uniform"

    eta: float = 0.0
