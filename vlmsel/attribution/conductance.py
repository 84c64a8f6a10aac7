"""Block scores of all blocks in one forward and one backward pass per point of the path.

Conductance: Dhamdhere, Sundararajan and Yan, "How Important Is a Neuron?" (2018).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from vlmsel.attribution.adaptive import scan
from vlmsel.attribution.block_scores import LayerConductance, replace_images
from vlmsel.attribution.integral import (
    Groups,
    find_broken_images,
    find_spoilt,
    integrate,
    per_block,
    wide,
)
from vlmsel.attribution.path import Quadrature, quadrature, spacing
from vlmsel.attribution.recorder import BlockRecorder, Blocks, Objective

TOLERANCE = 0.01  # of the estimated L1 error of the normalised profile
MAX_DOUBLINGS = 4


def layer_conductance(
    objective: Objective,
    images: Tensor,
    blocks: Blocks,
    *,
    baseline: Tensor | None = None,
    n_steps: int = 9,
    rule: str = "refined",
    path: str = "adaptive",
    groups: Groups | None = None,
) -> LayerConductance:
    """Conductance of every block along the straight path from `baseline` to `images`.

    a_i = integral of dF/dh_i dh_i over the path, by `rule` on `n_steps` gradients; the score of a
    block is the mean of |a_i| over its units. The network must be in eval mode; parameters that
    require gradients only cost memory. Each image's values depend on that image alone.

    Args:
        objective: F, from (B, ...) images to (B,) numbers, each from its own image.
        images: (B, ...), preprocessed.
        blocks: (name, module) in forward order; each runs once and gives one (B, ...) tensor.
        baseline: start of the path, broadcast to `images`; zeros if None.
        n_steps: gradient evaluations per image; with rule `refined` the first number tried, raised
            to an odd one.
        rule: quadrature rule, see `vlmsel.attribution.path.RULES`. `refined` is the trapezoid with
            its intervals halved, for the images that need it, until the estimated error of the
            profile is at most 1 %, or up to four times.
        path: spacing of the points: `uniform`, `graded` (see `vlmsel.attribution.path`), or
            `adaptive` (see `vlmsel.attribution.adaptive`), each image's own.
        groups: block numbers of each pass, to hold fewer blocks at once; all in one pass if None.

    Raises:
        AttributionError: a block that does not run once or gives no (B, ...) tensor, an objective
            that does not depend on the blocks, an unknown rule or path.
    """
    start = torch.zeros_like(images) if baseline is None else baseline.expand_as(images)
    chosen = quadrature(rule, n_steps)
    alpha = _spacing(objective, images, start, blocks, path)
    everyone = list(range(len(images)))
    along = partial(_integrate_along, objective, images, start, blocks, alpha, groups)
    found = along(chosen, everyone)
    for doubling in range(1, MAX_DOUBLINGS + 1 if rule == "refined" else 1):
        unsure = (found.step_error > TOLERANCE).nonzero().flatten().tolist()
        if unsure:
            finer = quadrature(rule, (chosen.n_gradients - 1) * 2**doubling + 1)
            better = along(finer, unsure)
            spent = found.n_gradients[unsure] + better.n_gradients
            found = replace_images(found, replace(better, n_gradients=spent), unsure)
    return found


def _spacing(
    objective: Objective, images: Tensor, start: Tensor, blocks: Blocks, path: str
) -> Callable[[float], Tensor]:
    """Alphas (B,), float64, at a share s of the path."""
    if path == "adaptive":
        return scan(objective, lambda a: _interpolate(start, images, a), len(images), blocks).alpha
    alpha = spacing(path)
    return lambda s: torch.full((len(images),), alpha(s), dtype=torch.float64)


def _interpolate(start: Tensor, images: Tensor, alpha: Tensor) -> Tensor:
    """The images x' + alpha (x - x'), with one alpha per image."""
    weight = alpha.to(images).reshape(-1, *[1] * (images.ndim - 1))
    return start + weight * (images - start)


def _integrate_along(
    objective: Objective,
    images: Tensor,
    start: Tensor,
    blocks: Blocks,
    alpha: Callable[[float], Tensor],
    groups: Groups | None,
    rule: Quadrature,
    chosen: list[int],
) -> LayerConductance:
    """`rule` along the paths of the images numbered `chosen`."""
    x, x0 = images[chosen], start[chosen]
    alphas = [alpha(s)[chosen] for s in rule.points]
    return integrate(
        objective, lambda k: _interpolate(x0, x, alphas[k]), blocks, rule, groups=groups
    )


def gradient(
    objective: Objective, images: Tensor, blocks: Blocks, *, groups: Groups | None = None
) -> LayerConductance:
    """C_l = mean_i |dF/dh_i| at the images; arguments and errors as `layer_conductance`."""
    return _score_images(objective, images, blocks, groups, lambda g, _: g)


def gradient_x_activation(
    objective: Objective, images: Tensor, blocks: Blocks, *, groups: Groups | None = None
) -> LayerConductance:
    """C_l = mean_i |dF/dh_i h_i| at the images; arguments and errors as `layer_conductance`."""
    return _score_images(objective, images, blocks, groups, torch.mul)


def _score_images(
    objective: Objective,
    images: Tensor,
    blocks: Blocks,
    groups: Groups | None,
    units: Callable[[Tensor, Tensor], Tensor],
) -> LayerConductance:
    parts: list[Tensor] = []
    cuts: list[tuple[bool, ...]] = []
    value = torch.empty(0)
    for group in groups or [range(len(blocks))]:
        recorder = BlockRecorder(objective, [blocks[b] for b in group])
        found = recorder.gradients(images, find_cuts=True)
        pairs = zip(found.gradients, found.activations, strict=True)
        values = (units(g.to(wide(g)), h) for g, h in pairs)
        parts.append(per_block(values, lambda a: a.abs().mean(dim=1)))
        cuts.append(found.cuts)
        value = found.objective.cpu().double()
    scores = torch.cat(parts, dim=1)
    nowhere = torch.full_like(value, torch.nan)
    broken = find_broken_images(scores, value[None])
    return LayerConductance(
        scores=scores,
        names=tuple(name for name, _ in blocks),
        completeness_error=nowhere,
        objective=value,
        objective_at_baseline=nowhere,
        step_error=nowhere,
        n_gradients=torch.ones(len(images), dtype=torch.int64),
        cuts=tuple(chain.from_iterable(cuts)),
        spoilt=find_spoilt(objective, lambda _: images, 1, blocks, broken),
    )
