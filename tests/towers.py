"""Visual towers of open_clip that are as quick as their structure allows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.towers import FILLS, build_visual


def build_short(model: str, image_size: int) -> nn.Module:
    """A tower whose containers repeat a block at most three times, with random weights."""
    with _WithoutWeights():
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


class _WithoutWeights(TorchFunctionMode):
    """Leaves weights of more than one dimension as they are in memory: filling them is slow."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if func.__name__ in FILLS:
            # Torch's own initialisers call themselves by keyword.
            tensor = args[0] if args else options["tensor"]
            if isinstance(tensor, nn.Parameter) and tensor.ndim > 1:
                return tensor
        return func(*args, **options)
