"""Build a visual tower alone: no text tower, no weights, no network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from torch import nn
from torch.overrides import TorchFunctionMode

from vlmsel.zoo.open_clip_tables import architecture_config
from vlmsel.zoo.output_silence import quiet_open_clip

# What fills a weight in place with its first values.
FILLS = (
    "add_", "clamp_", "erfinv_", "fill_", "kaiming_uniform_",
    "mul_", "normal_", "uniform_", "zero_",
)  # fmt: skip


def build_visual(model: str, *, image_size: int | None = None) -> nn.Module:
    """The visual tower of an open_clip architecture with random weights.

    HF text towers would need a network; visual towers do not.

    Raises:
        ModelError: unknown architecture, with the nearest names.
    """
    config = architecture_config(model)
    vision = dict(config["vision_cfg"])
    vision["timm_model_pretrained"] = False
    if image_size is not None:
        vision["image_size"] = image_size
    with quiet_open_clip():
        visual: Any = _build_vision_tower(
            config["embed_dim"], CLIPVisionCfg(**vision), bool(config.get("quick_gelu"))
        )
        if image_size is not None and hasattr(visual, "set_input_size"):
            visual.set_input_size(image_size)
    return visual


def build_meta_visual(model: str) -> nn.Module:
    """The visual tower of an open_clip architecture on torch's meta device: shapes, no values.

    It costs no memory.

    Raises:
        ModelError: unknown architecture, with the nearest names.
    """
    # Torch infers shapes anew for each.
    with torch.device("meta"), WithoutFills(lambda tensor: tensor.is_meta):
        return build_visual(model)


def input_size(visual: nn.Module) -> tuple[int, int]:
    """Height and width in pixels of the images that an open_clip tower takes."""
    return to_pair(getattr(visual, "image_size"))  # noqa: B009 - an attribute that torch does not type


def to_pair(size: Any) -> tuple[int, int]:
    """Height and width of an image size given as one number or two."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return int(height), int(width)


class WithoutFills(TorchFunctionMode):
    """Leaves out the filling of some tensors, which takes most of the time of building a tower.

    Args:
        leaves_out: tells of a tensor whether it stays as it is.
    """

    def __init__(self, leaves_out: Callable[[torch.Tensor], bool]) -> None:
        super().__init__()
        self._leaves_out = leaves_out

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if getattr(func, "__name__", "") in FILLS:
            # Torch's own initialisers call themselves by keyword.
            tensor = args[0] if args else options["tensor"]
            if self._leaves_out(tensor):
                return tensor
        return func(*args, **options)
