"""Values that would lie are found here: not finite, all zero, or without any dependence on x."""

from collections.abc import Callable

import torch
from torch import Tensor

from vlmsel.attribution.block_scores import LayerConductance
from vlmsel.attribution.recorder import Objective
from vlmsel.errors import AttributionError

# Relative change of F that rounding alone can make.
ROUNDING = {"fp32": 1e-6, "bf16": 2e-2}
# The entropy of small entries is log D but for rounding; what it depends on is their variance.
DEPENDS_LIKE = {"entropy": "variance"}
# Preprocessed pixels that differ at all differ by about 1e-2.
SAME_IMAGE = 1e-4
# Completeness error above which a profile is likely to be off by more than 1 %
# (docs/internals/attribution.md).
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
            failures[image] = _explain_not_finite(scores, image, finite)
        elif not bool(torch.isfinite(scores.objective[image])):
            failures[image] = "the objective is not finite at the image"
        elif not bool((row > 0).all()):
            failures[image] = _zero(scores, row, precision)
    return failures


def _explain_not_finite(scores: LayerConductance, image: int, finite: Tensor) -> str:
    spoilt_at = scores.spoilt.get(image)
    if spoilt_at is not None:
        return f"block {spoilt_at} gives values that are not finite (NaN or infinity)"
    last = int((~finite).nonzero().max())
    return f"the gradient at block {scores.names[last]} is not finite (NaN or infinity)"


def _zero(scores: LayerConductance, row: Tensor, precision: str) -> str:
    if not bool((row > 0).any()):
        return "all blocks score zero: gradients underflow, or nothing leads from the blocks to F"
    name = scores.names[int((row == 0).nonzero().min())]
    advice = "try precision fp32" if precision != "fp32" else "no gradient passes through it"
    return f"block {name} scores zero on all its units: {advice}"


def check_depends_on_image(
    name: str, make: Callable[[str], Objective], images: Tensor, values: Tensor, precision: str
) -> None:
    """Refuse an objective that gives one and the same number for different inputs.

    Where the values at hand agree to rounding, which equal images or little precision can bring
    about, F is taken in float32 of an image, of the image in another contrast, and of noise.

    Args:
        name: of the objective.
        make: an objective by name, in float32.
        images: (N, ...); the first that is finite is looked at, and without one there is nothing
            to say.
        values: F at the inputs seen; those that are not finite are left out.
        precision: that `values` were computed in.

    Raises:
        AttributionError: all values agree to a relative 1e-6.
    """
    finite = torch.isfinite(images.flatten(1)).all(dim=1).nonzero().flatten()
    if not len(finite) or not _agree(values, ROUNDING[precision]):
        return
    image = images[finite[:1]]
    noise = torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(0)).to(image)
    objective = make(DEPENDS_LIKE.get(name, name))
    with torch.no_grad():
        tried = [objective(x).cpu() for x in (image, 0.5 * image + 0.25, noise[None])]
    value = torch.cat(tried)
    if len(value[torch.isfinite(value)]) > 1 and _agree(value, ROUNDING["fp32"]):
        raise AttributionError(
            f"objective {name} gives the same number for every input: it does not depend on the "
            "image; use an embedding before normalisation (open_clip: normalize=False)"
        )


def _agree(values: Tensor, tolerance: float) -> bool:
    finite = values[torch.isfinite(values)].double()
    return not len(finite) or bool(finite.max() - finite.min() <= tolerance * finite.abs().max())


def name_equal_to_baseline(images: Tensor, baseline: Tensor, what: str = "image") -> dict[int, str]:
    """Image number -> why it has no conductance, of (N, ...) inputs that are their baseline.

    Two ways to one input differ by rounding, and the scores are then made of that.
    """
    far = (images - baseline).flatten(1).abs().amax(dim=1)
    size = images.flatten(1).abs().amax(dim=1)
    equal = far <= SAME_IMAGE * size
    advice = "use tower vision" if what == "text" else "choose another baseline"
    reason = f"the {what} equals its baseline, so nothing is attributed: {advice}"
    return dict.fromkeys(equal.nonzero().flatten().tolist(), reason)


def find_inexact_images(scores: LayerConductance, *, limit: float = INEXACT) -> list[int]:
    """Images whose completeness error exceeds `limit`; those without one are left out."""
    return (scores.completeness_error > limit).nonzero().flatten().tolist()
