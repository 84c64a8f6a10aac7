"""Build a visual tower alone: no text tower, no weights, no network."""

from typing import Any

from open_clip.model import CLIPVisionCfg, _build_vision_tower
from torch import nn

from vlmsel.zoo.open_clip_tables import architecture_config
from vlmsel.zoo.output_silence import quiet_open_clip


def build_visual(model: str, *, image_size: int | None = None) -> nn.Module:
    """The visual tower of an open_clip architecture with random weights.

    Under `torch.device("meta")` it costs no memory. HF text towers would need a network; visual
    towers do not.

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


def input_size(visual: nn.Module) -> tuple[int, int]:
    """Height and width in pixels of the images that an open_clip tower takes."""
    return to_pair(getattr(visual, "image_size"))  # noqa: B009 - an attribute that torch does not type


def to_pair(size: Any) -> tuple[int, int]:
    """Height and width of an image size given as one number or two."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return int(height), int(width)
