"""Small networks whose conductance is known, or quick to compute by other means."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn


class Tiny(nn.Module):
    """Three convolutional blocks with a norm, then a linear head; smooth, double precision."""

    def __init__(self, *, width: int = 6) -> None:
        super().__init__()
        sizes = (3, width, width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=True), nn.GroupNorm(2, b), nn.GELU())
            for a, b in pairwise(sizes)
        )
        self.head = nn.Linear(width, 5)

    def forward(self, images: Tensor) -> Tensor:
        for block in self.blocks:
            images = block(images)
        return self.head(images.mean(dim=(2, 3)))


@dataclass(frozen=True)
class Model:
    """Parts of a loaded model that `attribute` needs."""

    visual: nn.Module

    def encode_image(self, images: Tensor) -> Tensor:
        return self.visual(images)


def frozen(net: nn.Module) -> nn.Module:
    """Eval mode, no parameter gradients, norms and biases away from their starting values."""
    generator = torch.Generator().manual_seed(7)
    for parameter in net.parameters():
        if parameter.ndim < 2:
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter.data.add_(0.2 * noise)
    return net.eval().requires_grad_(False)


def named_blocks(net: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(f"blocks.{i}", block) for i, block in enumerate(net.blocks)]


@pytest.fixture
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return frozen(Tiny().double())


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
