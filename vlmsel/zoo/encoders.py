"""Registered encoders: any `nn.Module` from images to an embedding, in a few lines of the user."""

import importlib
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.transform_bounds import BoundedTransform

Transform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Encoder:
    """Result of a registered function when the bare module does not say enough.

    Attributes:
        module: (B, 3, H, W) -> (B, D), the embedding before normalisation.
        transform: RGB image -> (3, H, W).
        image_size: height and width of the input, or one number for both.
        block_pattern: regular expression over module names, where the usual rule finds no block.
        encode_text: strings -> (N, D), L2-normalised, on the module's device; without it the model
            has no text tower and answers nothing.
        logit_scale: factor of a cosine in its logits.
        logit_bias: added to its logits.
        text_tower: the module that holds the text tower, which is put on the device, too.
    """

    module: nn.Module
    transform: Transform
    image_size: int | tuple[int, int]
    block_pattern: str | None = None
    encode_text: Callable[[Sequence[str]], Tensor] | None = None
    logit_scale: float = 1.0
    logit_bias: float = 0.0
    text_tower: nn.Module | None = None


def build_encoder(spec: ModelSpec) -> Encoder:
    """Call the function that `spec.encoder` names with the spec.

    Raises:
        ModelError: it cannot be imported or called, or gives neither an Encoder nor a timm module.
    """
    function = _function(spec)
    try:
        built = function(spec)
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(f"{spec.name}: encoder {spec.encoder} raised {message}") from error
    if isinstance(built, nn.Module):
        built = from_timm(spec, built)
    if not isinstance(built, Encoder):
        msg = (
            f"{spec.name}: encoder {spec.encoder} gave a {type(built).__name__}, not a module or a "
            "vlmsel.zoo.Encoder"
        )
        raise ModelError(msg)
    if built.block_pattern is not None:
        try:
            re.compile(built.block_pattern)
        except re.error as error:
            pattern = built.block_pattern
            raise ModelError(f"{spec.name}: block_pattern {pattern!r}: {error}") from None
        built.module.block_pattern = built.block_pattern  # pyright: ignore[reportArgumentType]
    return built


def _function(spec: ModelSpec) -> Callable[[ModelSpec], object]:
    module_name, _, function_name = (spec.encoder or "").partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        message = " ".join((str(error) or type(error).__name__).split())
        msg = f"{spec.name}: encoder module '{module_name}' cannot be imported: {message}"
        raise ModelError(msg) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(f"{spec.name}: '{module_name}' has no function '{function_name}'")
    return function


def from_timm(spec: ModelSpec, module: nn.Module) -> Encoder:
    """A tower of timm with the preprocessing that it names.

    Raises:
        ModelError: it is none of timm's.
    """
    if "timm" not in sys.modules or not isinstance(getattr(module, "pretrained_cfg", None), dict):
        msg = (
            f"{spec.name}: encoder {spec.encoder} gave a bare {type(module).__name__}; only timm "
            "models say their preprocessing: return vlmsel.zoo.Encoder(module, transform, size)"
        )
        raise ModelError(msg)
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    data = resolve_model_data_config(module)
    _, height, width = data["input_size"]
    transform = cast(Transform, create_transform(**data, is_training=False))
    # Its resize comes before a crop of a share of it; "border" keeps the size, so nothing grows.
    share = float(data.get("crop_pct") or 1.0)
    target = (math.ceil(height / share), math.ceil(width / share))
    mode = "squash" if data.get("crop_mode") in ("squash", "border") else "shortest"
    return Encoder(module, BoundedTransform(transform, target, mode), (height, width))
