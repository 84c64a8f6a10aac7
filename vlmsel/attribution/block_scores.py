"""Block scores with what is known about how far they can be trusted; parts of them put together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor

TINY = 1e-30


@dataclass(frozen=True)
class LayerConductance:
    """Block scores of N images and d blocks; all tensors are on the CPU.

    Attributes:
        scores: (N, d) float64; C_l(x), the mean over units of |a_i|.
        names: block names, in forward order.
        completeness_error: (N,) float64; the largest |sum_i a_i - (F(x) - F(x'))| / |F(x)| over the
            blocks that cut the network; NaN where none does and for attributions without a path.
        objective: (N,) float64, F(x).
        objective_at_baseline: (N,) float64, F(x'); NaN for attributions without a path.
        step_error: (N,) float64, estimated L1 error of the normalised profile; NaN for rules
            without an estimate.
        n_gradients: (N,) int64, gradient evaluations spent, those of refined passes added up.
        cuts: per block whether every way from the image to F leads through it.
        spoilt: image number -> first block whose output was not finite somewhere on the path.
        failures: image number -> why its scores mean nothing (filled in by `attribute`).
    """

    scores: Tensor
    names: tuple[str, ...]
    completeness_error: Tensor
    objective: Tensor
    objective_at_baseline: Tensor
    step_error: Tensor
    n_gradients: Tensor
    cuts: tuple[bool, ...]
    spoilt: dict[int, str] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)


PER_IMAGE = tuple(f.name for f in fields(LayerConductance) if f.type is Tensor)


def completeness_error(
    signed: Tensor,
    at_image: Tensor,
    at_baseline: Tensor,
    cuts: tuple[bool, ...],
    towers: tuple[str, ...] = (),
) -> Tensor:
    """Largest over cutting blocks of |sum_i a_i - (F(x) - F(x'))| / |F(x)|; NaN where none cuts.

    Only a block that cuts the network carries the whole change of F, so only there the sum of its
    signed conductance has a known value. With two towers it takes one cutting block of each.

    Args:
        signed: (N, d) sum of a_i over the units of each block.
        at_image: (N,) F(x).
        at_baseline: (N,) F(x').
        cuts: which of the d blocks cut their tower.
        towers: of the d blocks; empty where there is one.
    """
    names = towers or ("",) * len(cuts)
    columns = {tower: [b for b, t in enumerate(names) if t == tower and cuts[b]] for tower in names}
    if not columns or not all(columns.values()):
        return torch.full_like(at_image, torch.nan)
    change = at_image - at_baseline
    most = torch.stack([signed[:, some].amax(dim=1) for some in columns.values()]).sum(dim=0)
    least = torch.stack([signed[:, some].amin(dim=1) for some in columns.values()]).sum(dim=0)
    gap = torch.maximum((most - change).abs(), (least - change).abs())
    return gap / at_image.abs().clamp_min(TINY)


def profile_distance(scores: Tensor, others: Tensor) -> Tensor:
    """L1 distance of two normalised profiles: sum_l |p_l - q_l|, p = C / sum C; (N, d) -> (N,)."""
    return (_normalise(scores) - _normalise(others)).abs().sum(dim=1)


def _normalise(scores: Tensor) -> Tensor:
    return scores / scores.sum(dim=1, keepdim=True)


def join_images(parts: Sequence[LayerConductance]) -> LayerConductance:
    """Scores of different images with the same blocks, one part after the other."""
    starts = np.cumsum([0, *(len(part.scores) for part in parts)]).tolist()
    spoilt = {
        start + i: name
        for start, part in zip(starts, parts, strict=False)
        for i, name in part.spoilt.items()
    }
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in PER_IMAGE}
    return replace(parts[0], **joined, spoilt=spoilt)


def replace_images(
    whole: LayerConductance, part: LayerConductance, images: Sequence[int]
) -> LayerConductance:
    """`whole` with the images numbered `images` taken from `part`."""
    rows = torch.tensor(list(images))
    values = {}
    for name in PER_IMAGE:
        values[name] = getattr(whole, name).clone()
        values[name][rows] = getattr(part, name)
    spoilt = {**whole.spoilt, **{images[i]: name for i, name in part.spoilt.items()}}
    return replace(whole, **values, spoilt=spoilt)
