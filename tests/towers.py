"""Visual towers of open_clip that are as quick as their structure allows."""

import torch
from torch import nn

from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.towers import WithoutFills, build_visual


def build_short(model: str, image_size: int) -> nn.Module:
    """A tower whose containers repeat a block at most three times, with random weights."""
    with WithoutFills(_is_weight):
        visual = build_visual(model, image_size=image_size)
    shorten(visual)
    with torch.no_grad():
        for weight in visual.parameters():
            if weight.ndim > 1:
                weight.normal_(std=weight[0].numel() ** -0.5)
    return visual


def shorten(visual: nn.Module) -> None:
    """Keep the first two and the last of the blocks that a container repeats."""
    blocks = {id(block) for _, block in functional_blocks(visual)}
    for module in list(visual.modules()):
        if isinstance(module, (nn.ModuleList, nn.Sequential)) and all(
            id(child) in blocks for child in module
        ):
            del module[2:-1]


def _is_weight(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and tensor.ndim > 1
