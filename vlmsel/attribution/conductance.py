"""Block scores of all blocks in one forward and one backward pass per point of the path.

Conductance: Dhamdhere, Sundararajan and Yan, "How Important Is a Neuron?" (2018).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vlmsel.attribution.path import Quadrature, quadrature, spacing
from vlmsel.attribution.recorder import BlockRecorder, Blocks, Objective
from vlmsel.errors import AttributionError

TINY = 1e-30


@dataclass(frozen=True)
class LayerConductance:
    """Block scores of N images and d blocks.

    Attributes:
        scores: (N, d) float64 on the CPU; C_l(x), the mean over units of |a_i|.
        names: block names, in forward order.
        completeness_error: (N,) float64; the largest |sum_i a_i - (F(x) - F(x'))| / |F(x)| over the
            blocks that cut the network; NaN where none does and for attributions without a path.
        objective: (N,) float64, F(x).
        objective_at_baseline: (N,) float64, F(x'); NaN for attributions without a path.
        cuts: per block whether every way from the image to F leads through it.
        spoilt: image number -> first block whose output was not finite somewhere on the path.
        failures: image number -> why its scores mean nothing (filled in by `attribute`).
    """

    scores: Tensor
    names: tuple[str, ...]
    completeness_error: Tensor
    objective: Tensor
    objective_at_baseline: Tensor
    cuts: tuple[bool, ...]
    spoilt: dict[int, str] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)


def layer_conductance(
    objective: Objective,
    images: Tensor,
    blocks: Blocks,
    *,
    baseline: Tensor | None = None,
    n_steps: int = 16,
    rule: str = "trapezoid",
    path: str = "uniform",
) -> LayerConductance:
    """Conductance of every block along the straight path from `baseline` to `images`.

    a_i = integral of dF/dh_i dh_i over the path, by `rule` on `n_steps` gradients; the score of a
    block is the mean of |a_i| over its units. The network must be in eval mode; parameters that
    require gradients only cost memory.

    Args:
        objective: F, from (B, ...) images to (B,) numbers, each from its own image.
        images: (B, ...), preprocessed.
        blocks: (name, module) in forward order; each runs once and gives one (B, ...) tensor.
        baseline: start of the path, broadcast to `images`; zeros if None.
        n_steps: gradient evaluations per image.
        rule: quadrature rule, see `vlmsel.attribution.path.RULES`.
        path: spacing of the points, see `vlmsel.attribution.path.spacing`.

    Raises:
        AttributionError: a block that does not run once or gives no (B, ...) tensor, an objective
            that does not depend on the blocks, an unknown rule or path.
    """
    start = torch.zeros_like(images) if baseline is None else baseline.expand_as(images)
    alphas = [spacing(path)(s) for s in quadrature(rule, n_steps).points]

    def point(k: int) -> Tensor:
        return start + alphas[k] * (images - start)

    return integrate(objective, point, blocks, quadrature(rule, n_steps))


def integrate(
    objective: Objective, point: Callable[[int], Tensor], blocks: Blocks, rule: Quadrature
) -> LayerConductance:
    """Conductance along any path given by its points: `point(k)` (B, ...) for `rule.points[k]`."""
    recorder = BlockRecorder(objective, blocks)
    total = _Sum(rule.weights)
    values: list[Tensor] = []
    cuts: tuple[bool, ...] | None = None
    for k in range(len(rule.points)):
        if total.needs_gradient[k]:
            found = recorder.gradients(point(k), find_cuts=cuts is None)
            cuts = found.cuts if cuts is None else cuts
        else:
            found = recorder.values(point(k))
        values.append(found.objective)
        total.add(k, found.activations, found.gradients)
        del found
    if cuts is None:
        raise AttributionError("a quadrature rule without gradients gives no conductance")
    scores, start, end = total.scores(), values[0].double().cpu(), values[-1].double().cpu()
    broken = _broken_images(scores, torch.stack(values))
    return LayerConductance(
        scores=scores,
        names=recorder.names,
        completeness_error=completeness_error(total.signed(), end, start, cuts),
        objective=end,
        objective_at_baseline=start,
        cuts=cuts,
        spoilt=recorder.first_spoilt(point, len(values), broken),
    )


def _broken_images(scores: Tensor, values: Tensor) -> list[int]:
    """Images with a score (N, d) or an objective (points, N) that is not finite."""
    fine = torch.isfinite(scores).all(dim=1) & torch.isfinite(values).all(dim=0).cpu()
    return (~fine).nonzero().flatten().tolist()


def completeness_error(
    signed: Tensor, at_image: Tensor, at_baseline: Tensor, cuts: tuple[bool, ...]
) -> Tensor:
    """Largest over cutting blocks of |sum_i a_i - (F(x) - F(x'))| / |F(x)|; NaN where none cuts.

    Only a block that cuts the network carries the whole change of F, so only there the sum of its
    signed conductance has a known value.

    Args:
        signed: (N, d) sum of a_i over the units of each block.
        at_image: (N,) F(x).
        at_baseline: (N,) F(x').
        cuts: which of the d blocks cut.
    """
    if not any(cuts):
        return torch.full_like(at_image, torch.nan)
    gap = signed[:, torch.tensor(cuts)] - (at_image - at_baseline)[:, None]
    return gap.abs().amax(dim=1) / at_image.abs().clamp_min(TINY)


class _Sum:
    """a = sum_kj B_kj g_k h_j of every unit, holding only the points that are still needed."""

    def __init__(self, weights: npt.NDArray[np.float64]) -> None:
        self.weights = weights
        self.needs_gradient: npt.NDArray[np.bool_] = np.any(weights, axis=1)
        self._activations: dict[int, list[Tensor]] = {}
        self._gradients: dict[int, list[Tensor]] = {}
        self._units: list[Tensor] | None = None

    def add(self, k: int, activations: list[Tensor], gradients: list[Tensor]) -> None:
        """Take in point k; points come in order."""
        if self.weights[:, k].any():
            self._activations[k] = activations
        if self.needs_gradient[k]:
            self._gradients[k] = gradients
        complete = [r for r in self._gradients if not self.weights[r, k + 1 :].any()]
        for row in complete:
            self._add_row(row, self._gradients.pop(row))
        waiting = [r for r in range(len(self.weights)) if r > k or r in self._gradients]
        for j in [j for j in self._activations if not self.weights[waiting, j].any()]:
            del self._activations[j]

    def _add_row(self, row: int, gradients: list[Tensor]) -> None:
        columns = np.flatnonzero(self.weights[row]).tolist()
        *others, last = columns
        scale = float(self.weights[row, last])
        if self._units is None:
            self._units = [torch.zeros_like(g, dtype=_wide(g)) for g in gradients]
        for block, (units, g) in enumerate(zip(self._units, gradients, strict=True)):
            change = self._activations[last][block].to(units.dtype)
            for j in others:
                h = self._activations[j][block].to(units.dtype)
                change = torch.add(change, h, alpha=float(self.weights[row, j]) / scale)
            units.addcmul_(g.to(units.dtype), change, value=scale)

    def scores(self) -> Tensor:
        """(B, d) mean of |a_i|."""
        return _per_block(self._units or [], lambda a: a.abs().mean(dim=1))

    def signed(self) -> Tensor:
        """(B, d) sum of a_i."""
        return _per_block(self._units or [], lambda a: a.sum(dim=1))


def _wide(values: Tensor) -> torch.dtype:
    """Sums are kept in float32 at least."""
    return torch.promote_types(values.dtype, torch.float32)


def _per_block(units: list[Tensor], reduce: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([reduce(a.flatten(1)).double().cpu() for a in units], dim=1)


def gradient(objective: Objective, images: Tensor, blocks: Blocks) -> LayerConductance:
    """C_l = mean_i |dF/dh_i| at the images; arguments and errors as `layer_conductance`."""
    return _at_images(objective, images, blocks, lambda g, _: g)


def gradient_x_activation(objective: Objective, images: Tensor, blocks: Blocks) -> LayerConductance:
    """C_l = mean_i |dF/dh_i h_i| at the images; arguments and errors as `layer_conductance`."""
    return _at_images(objective, images, blocks, torch.mul)


def _at_images(
    objective: Objective,
    images: Tensor,
    blocks: Blocks,
    units: Callable[[Tensor, Tensor], Tensor],
) -> LayerConductance:
    recorder = BlockRecorder(objective, blocks)
    found = recorder.gradients(images, find_cuts=True)
    values = [
        units(g.to(_wide(g)), h) for g, h in zip(found.gradients, found.activations, strict=True)
    ]
    value = found.objective.double().cpu()
    scores = _per_block(values, lambda a: a.abs().mean(dim=1))
    broken = _broken_images(scores, found.objective[None])
    return LayerConductance(
        scores=scores,
        names=recorder.names,
        completeness_error=torch.full_like(value, torch.nan),
        objective=value,
        objective_at_baseline=torch.full_like(value, torch.nan),
        cuts=found.cuts or (),
        spoilt=recorder.first_spoilt(lambda _: images, 1, broken),
    )
