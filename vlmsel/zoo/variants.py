"""Variants of a model, ``MODEL@vision.0``: the same weights with one layer silent for good."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from torch import nn

from vlmsel.errors import ModelError
from vlmsel.zoo.blocks import Blocks, functional_blocks, text_blocks
from vlmsel.zoo.hooks import BypassError, silenced
from vlmsel.zoo.layer_name import HOW_TO_NAME, LayerName, Tower

if TYPE_CHECKING:
    from vlmsel.zoo.loaded_model import LoadedModel

# What a silenced layer is tried on when a variant is loaded.
TRIED_TEXT = "a photo"


def tower_blocks(model: "LoadedModel", tower: Tower) -> Blocks:
    """The blocks of a tower, whose numbers are those of `LayerName`.

    Raises:
        ModelError: it has none.
    """
    if tower == "vision":
        return functional_blocks(model.visual)
    found = [] if model.text_tower is None else text_blocks(model.text_tower)
    if not found:
        raise ModelError(f"{model.spec.name} has no text tower whose blocks are known by name")
    return found


def find_layer(model: "LoadedModel", layer: LayerName) -> tuple[str, nn.Module]:
    """The block of a layer's name.

    Raises:
        ModelError: the tower has fewer blocks; says how to name one.
    """
    blocks = tower_blocks(model, layer.tower)
    if layer.number >= len(blocks):
        last = len(blocks) - 1
        raise ModelError(
            f"{model.spec.name} has no layer {layer}: its {layer.tower} layers are "
            f"{layer.tower}.0 to {layer.tower}.{last}; {HOW_TO_NAME}"
        )
    return blocks[layer.number]


def silence_for_good(model: "LoadedModel", layer: LayerName) -> None:
    """Silence a layer of a loaded model until the model is forgotten.

    Raises:
        ModelError: there is no such layer, or it cannot be silenced in this way.
    """
    name, block = find_layer(model, layer)
    stack = ExitStack()
    try:
        seen = stack.enter_context(silenced(block, layer.part))
        with torch.no_grad():
            _run(model, layer.tower)
        if not seen.n_calls:
            raise BypassError("it does not run, so that nothing would change")
        # A context that nothing holds is closed by the garbage collector.
        block.__dict__["_held_silent"] = stack
    except ModelError as error:
        stack.close()
        raise ModelError(f"{model.spec.name}: {layer} ({name}): {error}") from None


def _run(model: "LoadedModel", tower: Tower, texts: Sequence[str] = (TRIED_TEXT,)) -> None:
    """One forward pass of a tower, to see whether its hooks run."""
    if model.score_choices is not None:
        model.score_choices.try_out()
        return
    if tower == "text" and model.encode_text is not None:
        model.encode_text(texts)
        return
    device = next(model.visual.parameters()).device
    model.encode_image(torch.zeros(1, 3, *model.image_size, device=device))
