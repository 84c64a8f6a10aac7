"""Places the points of a path where the network moves, found by forward passes only.

Normalisation layers can squeeze nearly all that happens on a path into its first thousandth, where
evenly spaced points see nothing. A scan looks at few points, then at more of them where the block
outputs changed most, and the gradients are taken at equal shares of that change. Everything is a
continuous function of the block outputs, so rounding cannot push a point elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vlmsel.attribution.recorder import BlockRecorder, Blocks, Objective

SCAN_ROUNDS = (3, 3)  # forward passes of each round, after those at both ends
SCAN_POWER = 4  # alpha = u^4, so that three points already reach down to 0.004
SKETCH_UNITS = 1024  # units of a block that are looked at, evenly strided

Line = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Movement:
    """Change of the blocks' outputs between the points of a scan.

    Attributes:
        positions: (m, B) float64, rising along the path, u with alpha = u^4.
        shares: (m - 1, B) float64, sum over blocks of the share of the block's whole movement
            (sum_i |h_i(u_{k+1}) - h_i(u_k)|) that lies between two points.
    """

    positions: Tensor
    shares: Tensor

    def at(self, s: float) -> Tensor:
        """(B,) the u below which a share s of the movement lies."""
        ends = np.concatenate([np.zeros((1, self.shares.shape[1])), self.shares.cumsum(0).numpy()])
        return torch.tensor(
            [
                np.interp(s * total[-1], total, u)
                for total, u in zip(ends.T, self.positions.T.numpy(), strict=True)
            ],
            dtype=torch.float64,
        )

    def alpha(self, s: float) -> Tensor:
        """(B,) the alpha below which a share s of the movement lies; exact at both ends."""
        return self.at(s) ** SCAN_POWER if 0 < s < 1 else torch.full((self.shares.shape[1],), s)


def scan(objective: Objective, line: Line, n_images: int, blocks: Blocks) -> Movement:
    """Looks along the path of each image with 2 + sum(SCAN_ROUNDS) forward passes.

    Args:
        objective: F.
        line: (B,) alphas -> (B, ...) images at these places of their paths.
        n_images: B.
        blocks: all blocks.
    """
    recorder = BlockRecorder(objective, blocks)

    def look(u: Tensor) -> list[Tensor]:
        return recorder.glimpses(line(u**SCAN_POWER), _sketch)

    u = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(1, n_images)
    seen = [look(row) for row in u]
    movement = _movement(u, seen)
    for n_points in SCAN_ROUNDS:
        new = torch.stack([movement.at(j / (n_points + 1)) for j in range(1, n_points + 1)])
        u = torch.cat([u, new])
        seen += [look(row) for row in new]
        movement = _movement(u, seen)
    return movement


def _sketch(output: Tensor) -> Tensor:
    """(B, ...) -> (B, about SKETCH_UNITS); an odd stride meets most channels.

    A copy: a view would keep the whole output in memory.
    """
    units = output.flatten(1)
    return units[:, :: (units.shape[1] // SKETCH_UNITS) | 1].to(torch.float32, copy=True)


def _movement(u: Tensor, seen: list[list[Tensor]]) -> Movement:
    positions, order = u.sort(dim=0, stable=True)
    shares = torch.zeros(len(u) - 1, u.shape[1], dtype=torch.float64)
    rows = torch.arange(u.shape[1])
    for block in zip(*seen, strict=True):
        outputs = torch.stack(block)[order.to(block[0].device), rows.to(block[0].device)]
        moved = outputs.diff(dim=0).abs().sum(dim=2).cpu().double()
        # A block that does not move, or overflows, says nothing about where to look.
        shares += torch.nan_to_num(moved / moved.sum(dim=0), nan=0.0, posinf=0.0)
    return Movement(positions, torch.where(shares.sum(dim=0) > 0, shares, positions.diff(dim=0)))
