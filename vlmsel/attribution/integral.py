"""Adds up the points of a path into the conductance of every unit of every block."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vlmsel.attribution.block_scores import LayerConductance, completeness_error, profile_distance
from vlmsel.attribution.path import Quadrature
from vlmsel.attribution.recorder import BlockRecorder, Blocks, Objective, parts_of

Weights = npt.NDArray[np.float64]
Groups = Sequence[Sequence[int]]

# The trapezoid's error falls with the square of the step where the network is smooth (the fine
# profile is then a third of the difference away), and with the step where it has kinks (then it is
# the whole difference): half of it lies between the two. Measured in docs/internals/attribution.md.
ERROR_OF_DIFFERENCE = 0.5


def integrate(
    objective: Objective,
    point: Callable[[int], Tensor],
    blocks: Blocks,
    rule: Quadrature,
    *,
    groups: Groups | None = None,
) -> LayerConductance:
    """Conductance along any path given by its points: `point(k)` (B, ...) for `rule.points[k]`.

    Args:
        objective: F, (B, ...) -> (B,).
        point: the images at a point of the path, B of them at each.
        blocks: all blocks, in forward order.
        rule: points and weights.
        groups: block numbers of each pass over the path; all in one pass if None.
    """
    # Each pass is added up before the next begins: only one holds its blocks.
    parts = [
        _Pass(objective, point, [blocks[b] for b in group], rule).run()
        for group in groups or [range(len(blocks))]
    ]
    scores = torch.cat([part.scores for part in parts], dim=1)
    values = parts[0].values
    cuts = tuple(chain.from_iterable(part.cuts for part in parts))
    step_error = torch.full_like(values[-1], torch.nan)
    if rule.coarse is not None:
        coarse = torch.cat([part.coarse for part in parts], dim=1)
        step_error = ERROR_OF_DIFFERENCE * profile_distance(scores, coarse)
    signed = torch.cat([part.signed for part in parts], dim=1)
    names = tuple(name for name, _ in blocks)
    shares = parts_of(objective)
    towers = () if shares is None else tuple(shares.towers[name] for name in names)
    return LayerConductance(
        scores=scores,
        names=names,
        completeness_error=completeness_error(signed, values[-1], values[0], cuts, towers),
        objective=values[-1],
        objective_at_baseline=values[0],
        step_error=step_error,
        n_gradients=torch.full((len(scores),), rule.n_gradients),
        cuts=cuts,
        spoilt=find_spoilt(
            objective, point, len(values), blocks, find_broken_images(scores, values)
        ),
    )


def find_broken_images(scores: Tensor, values: Tensor) -> list[int]:
    """Images with a score (N, d) or an objective (points, N) that is not finite."""
    fine = torch.isfinite(scores).all(dim=1) & torch.isfinite(values).all(dim=0)
    return (~fine).nonzero().flatten().tolist()


def find_spoilt(
    objective: Objective,
    point: Callable[[int], Tensor],
    n_points: int,
    blocks: Blocks,
    images: Sequence[int],
) -> dict[int, str]:
    """Find the first block with a value that is not finite, for the images numbered `images`.

    Runs every point of the path again, for these images only. Images whose block outputs are all
    finite are left out.
    """
    recorder = BlockRecorder(objective, blocks)
    found: dict[int, str] = {}
    for k in range(n_points if images else 0):
        all_finite = recorder.glimpses(
            point(k)[list(images)], lambda h: torch.isfinite(h.flatten(1)).all(dim=1)
        )
        for name, fine in zip(recorder.names, all_finite, strict=True):
            for row in (~fine).nonzero().flatten().tolist():
                found.setdefault(images[row], name)
    return found


@dataclass(frozen=True)
class _Part:
    """Result of one pass over B images at p points, for its b blocks.

    Attributes:
        scores, coarse, signed: (B, b); of `_Sum`, the coarse ones by the coarse rule.
        values: (p, B), the objective.
        cuts: per block, see `Point`.
    """

    scores: Tensor
    coarse: Tensor
    signed: Tensor
    values: Tensor
    cuts: tuple[bool, ...]


class _Pass:
    """One way along the path with some of the blocks."""

    def __init__(
        self,
        objective: Objective,
        point: Callable[[int], Tensor],
        blocks: Blocks,
        rule: Quadrature,
    ) -> None:
        self._recorder = BlockRecorder(objective, blocks)
        self._point = point
        self._n_points = len(rule.points)
        self._fine = _Sum(rule.weights)
        self._coarse = _Sum(np.zeros_like(rule.weights) if rule.coarse is None else rule.coarse)

    def run(self) -> _Part:
        """Visit all points in order."""
        values: list[Tensor] = []
        cuts: tuple[bool, ...] = ()
        for k in range(self._n_points):
            if self._fine.needs_gradient[k]:
                found = self._recorder.gradients(self._point(k), find_cuts=not cuts)
                cuts = cuts or found.cuts
            else:
                found = self._recorder.values(self._point(k))
            values.append(found.objective)
            self._fine.add(k, found.activations, found.gradients)
            self._coarse.add(k, found.activations, found.gradients)
            del found
        scores = self._fine.scores()
        coarse = self._coarse.scores() if self._coarse.needs_gradient.any() else scores
        return _Part(scores, coarse, self._fine.signed(), torch.stack(values).cpu().double(), cuts)


class _Sum:
    """a = sum_kj B_kj g_k h_j of every unit, holding only the points that are still needed."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.needs_gradient: npt.NDArray[np.bool_] = np.any(weights, axis=1)
        self._activations: dict[int, list[Tensor]] = {}
        self._gradients: dict[int, list[Tensor]] = {}
        self._units: list[Tensor] = []

    def add(self, k: int, activations: list[Tensor], gradients: list[Tensor]) -> None:
        """Take in point k; points come in order."""
        if self.weights[:, k].any():
            self._activations[k] = activations
        if self.needs_gradient[k]:
            self._gradients[k] = gradients
        for row in [r for r in self._gradients if not self.weights[r, k + 1 :].any()]:
            self._add_row(row, self._gradients.pop(row))
        waiting = [r for r in range(len(self.weights)) if r > k or r in self._gradients]
        for j in [j for j in self._activations if not self.weights[waiting, j].any()]:
            del self._activations[j]

    def _add_row(self, row: int, gradients: list[Tensor]) -> None:
        *others, last = np.flatnonzero(self.weights[row]).tolist()
        scale = float(self.weights[row, last])
        if not self._units:
            self._units = [torch.zeros_like(g, dtype=wide(g)) for g in gradients]
        for block, (units, g) in enumerate(zip(self._units, gradients, strict=True)):
            change = self._activations[last][block].to(units.dtype)
            for j in others:
                h = self._activations[j][block].to(units.dtype)
                change = torch.add(change, h, alpha=float(self.weights[row, j]) / scale)
            units.addcmul_(g.to(units.dtype), change, value=scale)

    def scores(self) -> Tensor:
        """(B, d) mean of |a_i|."""
        return per_block(self._units, lambda a: a.abs().mean(dim=1))

    def signed(self) -> Tensor:
        """(B, d) sum of a_i."""
        return per_block(self._units, lambda a: a.sum(dim=1))


def wide(values: Tensor) -> torch.dtype:
    """Sums are kept in float32 at least."""
    return torch.promote_types(values.dtype, torch.float32)


def per_block(units: Iterable[Tensor], reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """One number per image and block: (B, units) -> (B,) for every block, as (B, d)."""
    return torch.stack([reduce(a.flatten(1)).cpu().double() for a in units], dim=1)
