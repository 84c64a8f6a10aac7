"""Subject of an attribution: an objective, its input, the blocks, and the start of the path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Protocol

from torch import Tensor, nn

from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.path import baseline_images
from vlmsel.attribution.recorder import Blocks, Objective
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.blocks import read_blocks


class ImageModel(Protocol):
    """Loaded model as attribution needs it; `vlmsel.zoo.LoadedModel` is one."""

    @property
    def visual(self) -> nn.Module:
        """The visual encoder, in eval mode, its parameters frozen."""
        ...

    @property
    def encode_image(self) -> Callable[[Tensor], Tensor]:
        """(B, 3, H, W) -> (B, D), not normalised."""
        ...


@dataclass(frozen=True)
class Subject:
    """Subject of an attribution, one row per image.

    Attributes:
        objective: F, from (B, ...) rows to (B,) numbers.
        rows: (N, ...), the end of every path, on the model's device.
        blocks: in forward order.
        start: rows to the start of their paths, each from that row alone.
        make: an objective by name in float32, to see whether it depends on its input.
        resident: parameters and buffers of what is run.
        moving: the part of some rows that the path changes.
        what: word for the input that moves.
    """

    objective: Objective
    rows: Tensor
    blocks: Blocks
    start: Callable[[Tensor], Tensor]
    make: Callable[[str], Objective]
    resident: Sequence[Tensor]
    moving: Callable[[Tensor], Tensor] = lambda rows: rows
    what: str = "image"


def image_subject(
    model: ImageModel, images: Tensor, settings: AttributionSettings, text: Tensor | None
) -> Subject:
    """Attribute an objective of the image embedding through the visual tower.

    Args:
        model: encoder with its visual module.
        images: (N, 3, H, W), preprocessed.
        settings: objective, precision, baseline, granularity.
        text: class name embeddings (C, D), for the objectives of text.

    Raises:
        AttributionError: an unknown objective, or an objective of text without text.
    """
    make = partial(make_objective, encode_image=model.encode_image, text=text)
    resident = resident_tensors(model.visual)
    return Subject(
        objective=make(settings.objective, precision=settings.precision),
        rows=images.to(resident[0].device) if resident else images,
        blocks=read_blocks(model.visual, settings.granularity),
        start=partial(baseline_images, settings.baseline),
        make=make,
        resident=resident,
    )


def resident_tensors(*modules: nn.Module) -> list[Tensor]:
    """Parameters and buffers of some modules."""
    return list(chain.from_iterable(chain(m.parameters(), m.buffers()) for m in modules))
