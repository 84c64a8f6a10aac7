"""The way in: block scores of a loaded model, under settings, within a memory bound."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from vlmsel.attribution.block_scores import LayerConductance
from vlmsel.attribution.conductance import gradient, gradient_x_activation, layer_conductance
from vlmsel.attribution.integral import Groups
from vlmsel.attribution.memory import (
    BlockScorer,
    Split,
    copies_held,
    measure,
    plan_split,
    run_split,
)
from vlmsel.attribution.numerics import (
    check_depends_on_image,
    find_failures,
    name_equal_to_baseline,
)
from vlmsel.attribution.pair import Prompts, pair_subject
from vlmsel.attribution.path import quadrature
from vlmsel.attribution.subject import ImageModel, Subject, image_subject
from vlmsel.errors import AttributionError
from vlmsel.settings import SCORES, AttributionSettings


def attribute(
    model: ImageModel,
    images: Tensor,
    settings: AttributionSettings,
    *,
    max_memory_gb: float | None = None,
    text: Tensor | None = None,
    prompts: Prompts | None = None,
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
        prompts: of the classes, for scores through the text tower.

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
    with ieee_float32():
        subject = _subject(model, images, settings, text, prompts)
    rows = subject.rows
    split = Split(len(rows), (tuple(range(len(subject.blocks))),))
    if max_memory_gb is not None:
        footprint = measure(subject.objective, rows[:1], subject.blocks, subject.resident)
        split = plan_split(footprint, len(rows), _copies(settings), max_memory_gb)
    with ieee_float32():
        found = run_split(_scorer(subject, settings), rows, split)
        seen = torch.cat([found.objective, found.objective_at_baseline])
        check_depends_on_image(settings.objective, subject.make, rows, seen, settings.precision)
    failures = find_failures(found, precision=settings.precision)
    if settings.attribution not in AT_IMAGES:
        ends, starts = subject.moving(rows), subject.moving(subject.start(rows))
        failures |= name_equal_to_baseline(ends, starts, subject.what)
    unreadable = ~torch.isfinite(images.flatten(1)).all(dim=1)
    for image in unreadable.nonzero().flatten().tolist():
        failures[image] = "the preprocessed image has values that are not finite"
    return replace(found, failures=failures)


def _subject(
    model: ImageModel,
    images: Tensor,
    settings: AttributionSettings,
    text: Tensor | None,
    prompts: Prompts | None,
) -> Subject:
    if settings.objective in SCORES:
        return pair_subject(model, images, settings, text, prompts)
    return image_subject(model, images, settings, text)


def _scorer(subject: Subject, settings: AttributionSettings) -> BlockScorer:
    def conductance(images: Tensor, *, groups: Groups) -> LayerConductance:
        return layer_conductance(
            subject.objective,
            images,
            subject.blocks,
            baseline=subject.start(images),
            n_steps=settings.n_steps,
            rule=settings.rule,
            path=settings.path,
            groups=groups,
        )

    def at_images(images: Tensor, *, groups: Groups) -> LayerConductance:
        score = AT_IMAGES[settings.attribution]
        return score(subject.objective, images, subject.blocks, groups=groups)

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
