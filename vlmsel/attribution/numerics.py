"""Values that would lie are found here: not finite, all zero, or without any dependence on x."""

import torch
from torch import Tensor

from vlmsel.attribution.recorder import Objective
from vlmsel.attribution.scores import LayerConductance
from vlmsel.errors import AttributionError

CONSTANT = 1e-5  # relative change of F below which float32 cannot tell it from rounding
# Completeness error above which a profile is likely to be off by more than 1 % (attribution.md).
INEXACT = 0.2


def find_failures(scores: LayerConductance, *, precision: str) -> dict[int, str]:
    """Image number -> why its scores mean nothing; images that are fine are left out.

    A value that is not finite anywhere on the path ends in the scores of the blocks it touched. An
    activation spoils F and with it every block; a gradient spoils its block and those before it,
    so the last spoilt block is named.
    """
    failures = {}
    for image, row in enumerate(scores.scores):
        finite = torch.isfinite(row)
        if not bool(finite.all()):
            failures[image] = _not_finite(scores, image, finite)
        elif not bool(torch.isfinite(scores.objective[image])):
            failures[image] = "the objective is not finite at the image"
        elif not bool((row > 0).all()):
            failures[image] = _zero(scores, row, precision)
    return failures


def _not_finite(scores: LayerConductance, image: int, finite: Tensor) -> str:
    spoilt_at = scores.spoilt.get(image)
    if spoilt_at is not None:
        return f"block {spoilt_at} gives values that are not finite (NaN or infinity)"
    last = int((~finite).nonzero().max())
    return f"the gradient at block {scores.names[last]} is not finite (NaN or infinity)"


def _zero(scores: LayerConductance, row: Tensor, precision: str) -> str:
    if not bool((row > 0).any()):
        return "all blocks score zero: the image equals its baseline, or gradients underflow"
    name = scores.names[int((row == 0).nonzero().min())]
    advice = "try precision fp32" if precision != "fp32" else "no gradient passes through it"
    return f"block {name} scores zero on all its units: {advice}"


def check_depends_on_image(objective: Objective, image: Tensor, values: Tensor) -> None:
    """Refuse an objective that gives one and the same number for different inputs.

    Args:
        objective: F.
        image: one image (1, ...), tried once more in another contrast and brightness where all
            known values agree (they may come from one image, or from equal ones).
        values: F at the inputs seen, (n,); those that are not finite are left out.

    Raises:
        AttributionError: all values agree to a relative 1e-5.
    """
    if not _is_constant(values):
        return
    with torch.no_grad():
        other = objective(0.5 * image + 0.25).double().cpu()
    if _is_constant(torch.cat([values, other])):
        raise AttributionError(
            f"the objective is {float(other[0]):.6g} for every input: it does not depend on the "
            "image; use an embedding before normalisation (open_clip: normalize=False)"
        )


def _is_constant(values: Tensor) -> bool:
    finite = values[torch.isfinite(values)]
    if len(finite) < 2:
        return len(finite) == 1
    return float(finite.max() - finite.min()) <= CONSTANT * float(finite.abs().max())


def inexact_images(scores: LayerConductance, *, limit: float = INEXACT) -> list[int]:
    """Images whose completeness error exceeds `limit`; those without one are left out."""
    return (scores.completeness_error > limit).nonzero().flatten().tolist()
