"""The way in: block scores of a loaded model, under settings, within a memory bound."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn

from vlmsel.attribution.conductance import gradient, gradient_x_activation, layer_conductance
from vlmsel.attribution.integral import Groups
from vlmsel.attribution.memory import Scorer, Split, copies_held, measure, plan_split, run_split
from vlmsel.attribution.numerics import (
    check_depends_on_image,
    find_failures,
    name_equal_to_baseline,
)
from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.path import baseline_images, quadrature
from vlmsel.attribution.recorder import Blocks, Objective
from vlmsel.attribution.scores import LayerConductance
from vlmsel.errors import AttributionError
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.blocks import functional_blocks


class ImageModel(Protocol):
    """What attribution needs of a loaded model; `vlmsel.zoo.LoadedModel` is one."""

    @property
    def visual(self) -> nn.Module:
        """The visual encoder, in eval mode, its parameters frozen."""
        ...

    @property
    def encode_image(self) -> Callable[[Tensor], Tensor]:
        """(B, 3, H, W) -> (B, D), not normalised."""
        ...


def attribute(
    model: ImageModel,
    images: Tensor,
    settings: AttributionSettings,
    *,
    max_memory_gb: float | None = None,
    text: Tensor | None = None,
) -> LayerConductance:
    """Block scores of `images`, each from that image alone, whatever the split into passes.

    Args:
        model: encoder with its visual module.
        images: (N, 3, H, W), preprocessed, N >= 1, on any device.
        settings: what is computed.
        max_memory_gb: bound (in 2^30 bytes) on the visual encoder's weights and all that is
            computed with them; batches, then blocks, are split to keep it. None: all images in one
            pass.
        text: class name embeddings (C, D), for the objectives of text.

    Returns:
        Scores; images whose values mean nothing are named with the reason in `.failures`.

    Raises:
        AttributionError: the objective does not depend on the image, one image does not fit in
            memory, or the settings do not fit the model.
    """
    if images.ndim != 4 or len(images) == 0:
        raise AttributionError(
            f"images have shape {tuple(images.shape)}: give at least one as (N, 3, H, W)"
        )
    blocks = functional_blocks(model.visual, settings.granularity)
    make = partial(make_objective, encode_image=model.encode_image, text=text)
    objective = make(settings.objective, precision=settings.precision)
    resident = list(chain(model.visual.parameters(), model.visual.buffers()))
    if resident:
        images = images.to(resident[0].device)
    split = Split(len(images), (tuple(range(len(blocks))),))
    if max_memory_gb is not None:
        footprint = measure(objective, images[:1], blocks, resident)
        split = plan_split(footprint, len(images), _copies(settings), max_memory_gb)
    with ieee_float32():
        found = run_split(_scorer(objective, blocks, settings), images, split)
        seen = torch.cat([found.objective, found.objective_at_baseline])
        check_depends_on_image(settings.objective, make, images, seen, settings.precision)
    failures = find_failures(found, precision=settings.precision)
    if settings.attribution not in AT_IMAGES:
        failures |= name_equal_to_baseline(images, baseline_images(settings.baseline, images))
    unreadable = ~torch.isfinite(images.flatten(1)).all(dim=1)
    for image in unreadable.nonzero().flatten().tolist():
        failures[image] = "the preprocessed image has values that are not finite"
    return replace(found, failures=failures)


def _scorer(objective: Objective, blocks: Blocks, settings: AttributionSettings) -> Scorer:
    def conductance(images: Tensor, *, groups: Groups) -> LayerConductance:
        return layer_conductance(
            objective,
            images,
            blocks,
            baseline=baseline_images(settings.baseline, images),
            n_steps=settings.n_steps,
            rule=settings.rule,
            path=settings.path,
            groups=groups,
        )

    def at_images(images: Tensor, *, groups: Groups) -> LayerConductance:
        return AT_IMAGES[settings.attribution](objective, images, blocks, groups=groups)

    return at_images if settings.attribution in AT_IMAGES else conductance


@contextmanager
def ieee_float32() -> Iterator[None]:
    """No TF32 on CUDA, where convolutions use it unless told otherwise: fp32 means fp32."""
    kinds = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = False  # pyright: ignore[reportAttributeAccessIssue]
        yield
    finally:
        for kind, allowed in zip(kinds, before, strict=True):
            kind.allow_tf32 = allowed  # pyright: ignore[reportAttributeAccessIssue]


MANY_STEPS = 9
AT_IMAGES = {"gradient": gradient, "gradient_x_activation": gradient_x_activation}


def _copies(settings: AttributionSettings) -> int:
    if settings.attribution in AT_IMAGES:
        return copies_held(None)
    # Refining takes more points than it starts with, and with few points fewer are held at once.
    return copies_held(quadrature(settings.rule, max(settings.n_steps, MANY_STEPS)))
