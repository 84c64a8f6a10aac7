"""Paths: their starts, their points, and the rules that sum the gradients.

With points s_0 .. s_K of the path, block outputs h_k and gradients g_k = dF/dh at each of them,
every rule approximates the conductance of a unit, the Stieltjes integral of g dh, by

    a = sum_k sum_j B_kj g_k h_j

with a matrix B whose rows sum to zero. A rule is its points and its B; a row of zeros needs no
gradient. The integral does not depend on how the path is travelled, so a spacing alpha(s) of the
points between baseline and image leaves B as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nnf
from torch import Tensor

from vlmsel.errors import AttributionError

GRADED_POWER = 2.0
BLUR_SIGMA = 0.1  # of the image's shorter side


@dataclass(frozen=True)
class Quadrature:
    """A rule on the path.

    Attributes:
        points: s_k in [0, 1], rising, the ends among them (for F at baseline and image).
        weights: B, shape (points, points).
        coarse: B of the same rule on every second point, for an estimate of the error; or None.
    """

    points: tuple[float, ...]
    weights: npt.NDArray[np.float64]
    coarse: npt.NDArray[np.float64] | None = None

    @property
    def n_gradients(self) -> int:
        """Gradient evaluations, the cost of the rule."""
        return int(np.any(self.weights, axis=1).sum())


def quadrature(rule: str, n_steps: int) -> Quadrature:
    """The rule named `rule` with `n_steps` gradient evaluations.

    Raises:
        AttributionError: an unknown rule, or fewer steps than the rule needs.
    """
    if rule not in RULES:
        raise AttributionError(f"no quadrature rule {rule!r}: known are {', '.join(RULES)}")
    return RULES[rule](n_steps)


def _left(n_steps: int) -> Quadrature:
    """Gradients at the start of each of n equal steps: a = sum_k g_k (h_{k+1} - h_k)."""
    return Quadrature(_even_nodes(n_steps + 1), _left_weights(n_steps + 1))


def _right(n_steps: int) -> Quadrature:
    """Gradients at the end of each of n equal steps: a = sum_k g_{k+1} (h_{k+1} - h_k)."""
    return Quadrature(_even_nodes(n_steps + 1), -_left_weights(n_steps + 1)[::-1, ::-1])


def _midpoint(n_steps: int) -> Quadrature:
    """Gradients in the middle of n equal steps, h at their ends (n + 1 forwards more)."""
    weights = np.zeros((2 * n_steps + 1, 2 * n_steps + 1))
    for k in range(1, 2 * n_steps, 2):
        weights[k, k - 1], weights[k, k + 1] = -1.0, 1.0
    return Quadrature(_even_nodes(2 * n_steps + 1), weights)


def _trapezoid(n_steps: int) -> Quadrature:
    """The mean of g at both ends of each of n - 1 equal steps."""
    _require_points("trapezoid", n_steps, 2)
    weights = (_left_weights(n_steps) - _left_weights(n_steps)[::-1, ::-1]) / 2
    return Quadrature(_even_nodes(n_steps), weights)


def _refined_trapezoid(n_steps: int) -> Quadrature:
    """The trapezoid, with that on every second point beside it; n is raised to 3, 5, 7, ..."""
    n_points = max(3, n_steps | 1)
    fine = _trapezoid(n_points)
    coarse = np.zeros_like(fine.weights)
    coarse[::2, ::2] = _trapezoid((n_points + 1) // 2).weights
    return Quadrature(fine.points, fine.weights, coarse)


def _captum(n_steps: int) -> Quadrature:
    """Return the rule of captum's LayerConductance with `gausslegendre`.

    A left sum between the n + 1 Gauss-Legendre nodes, without their weights; the ends of the path
    are not part of it (here they are visited forwards only, for the completeness error).
    """
    nodes = 0.5 * (1 + np.polynomial.legendre.leggauss(n_steps + 1)[0])
    weights = np.zeros((n_steps + 3, n_steps + 3))
    weights[1:-1, 1:-1] = _left_weights(n_steps + 1)
    return Quadrature((0.0, *nodes.tolist(), 1.0), weights)


RULES: dict[str, Callable[[int], Quadrature]] = {
    "captum": _captum,
    "left": _left,
    "right": _right,
    "midpoint": _midpoint,
    "trapezoid": _trapezoid,
    "refined": _refined_trapezoid,
}


def _left_weights(n_points: int) -> npt.NDArray[np.float64]:
    weights = np.zeros((n_points, n_points))
    for k in range(n_points - 1):
        weights[k, k], weights[k, k + 1] = -1.0, 1.0
    return weights


def _even_nodes(n_points: int) -> tuple[float, ...]:
    return tuple(np.linspace(0.0, 1.0, n_points).tolist())


def _require_points(rule: str, n_steps: int, least: int) -> None:
    if n_steps < least:
        raise AttributionError(f"rule {rule} needs n_steps >= {least}, not {n_steps}")


SPACINGS: dict[str, Callable[[float], float]] = {
    "uniform": lambda s: s,
    "graded": lambda s: s**GRADED_POWER,
}


def spacing(path: str) -> Callable[[float], float]:
    """alpha(s), rising from 0 to 1: the point is x' + alpha (x - x').

    `uniform` is alpha = s; `graded` is alpha = s^2, which puts more points near the baseline,
    where normalisation layers make block outputs move fastest.
    """
    if path not in SPACINGS:
        raise AttributionError(f"no path {path!r}: known are {', '.join(SPACINGS)}, adaptive")
    return SPACINGS[path]


def _zeros(images: Tensor) -> Tensor:
    """Zeros after preprocessing: the mean colour of the training images."""
    return torch.zeros_like(images)


def _mean_image(images: Tensor) -> Tensor:
    """Each image's own mean colour: per channel the mean over its pixels."""
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


def _blur(images: Tensor) -> Tensor:
    """Each image blurred by a Gaussian of 0.1 of its shorter side, edges reflected."""
    height, width = images.shape[-2:]
    sigma = BLUR_SIGMA * min(height, width)
    radius = min(int(3 * sigma + 0.5), min(height, width) - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
    padded = nnf.pad(images, (radius, radius, radius, radius), mode="reflect")
    rows = nnf.conv2d(padded, kernel, groups=images.shape[1])
    return nnf.conv2d(rows, kernel.transpose(2, 3), groups=images.shape[1])


BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": _zeros,
    "mean-image": _mean_image,
    "blur": _blur,
}


def baseline_images(name: str, images: Tensor) -> Tensor:
    """Return the start of each image's path; it depends on that image alone, not on its batch.

    Args:
        name: `zeros`, `mean-image` or `blur`.
        images: preprocessed, (B, C, H, W).

    Returns:
        (B, C, H, W).
    """
    if name not in BASELINES:
        raise AttributionError(f"no baseline {name!r}: known are {', '.join(BASELINES)}")
    return BASELINES[name](images)
