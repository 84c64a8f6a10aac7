"""Expected cost of a model that never ran.

Arithmetic per image from its open_clip configuration.
"""

from typing import Any

from vlmsel.measurements.measurement import Measurement
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import configuration
from vlmsel.zoo.providers.folders import provider_name
from vlmsel.zoo.providers.timm_tags import timm_name
from vlmsel.zoo.providers.transformers_folder import vision_sizes

# Sustained fp32 arithmetic, orders of magnitude only: a measured time replaces it after the first
# run.
GFLOPS_PER_S = {"cpu": 40.0, "cuda": 15_000.0}
# Forward arithmetic of one RN50 (CLIP) image at 224 pixels.
RN50_GFLOPS = 12.0
UNKNOWN_GFLOPS = 20.0
# timm names carry no widths; the size word gives parameters of a ViT in millions, or convolution
# GFLOPs at 224.
TIMM_SIZES = {
    "gigantic": (1900.0, 800.0),
    "enormous": (4400.0, 900.0),
    "giant": (1000.0, 500.0),
    "xxlarge": (846.0, 396.0),
    "xlarge": (436.0, 122.0),
    "so400m": (400.0, 140.0),
    "large": (304.0, 69.0),
    "base": (86.0, 31.0),
    "medium": (38.0, 20.0),
    "small": (22.0, 17.0),
    "tiny": (6.0, 9.0),
    "test": (0.4, 0.2),
}


def seconds_per_image(spec: ModelSpec, measurement: Measurement, device: str) -> float:
    """Expected seconds for one image on one worker: an estimate that orders the work.

    Args:
        spec: the model.
        measurement: what is measured; it says how many forward passes it takes.
        device: "cpu" or "cuda...".

    Raises:
        ModelError: the architecture is unknown.
    """
    speed = GFLOPS_PER_S["cpu" if device == "cpu" else "cuda"]
    return forward_gflops(_vision_config(spec)) * measurement.forward_passes / speed


def forward_gflops(vision: dict[str, Any]) -> float:
    """Arithmetic of one forward pass of a visual tower, in 1e9 operations; a multiply-add is two.

    Args:
        vision: open_clip's `vision_cfg`; an empty one gives a middling guess.
    """
    side = vision.get("image_size", 224)
    side = max(side) if isinstance(side, list | tuple) else side
    if "timm_model_name" in vision:
        return _timm_gflops(vision["timm_model_name"], side)
    layers, width = vision.get("layers", 12 if vision else None), vision.get("width", 768)
    if isinstance(layers, list | tuple):
        return RN50_GFLOPS * (width / 64) ** 2 * (sum(layers) / 16) * (side / 224) ** 2
    if layers:
        tokens = (side // (vision.get("patch_size") or 16)) ** 2 + 1
        parameters = layers * width**2 * (4 + 2 * vision.get("mlp_ratio", 4.0))
        return (2 * parameters * tokens + 4 * layers * tokens**2 * width) / 1e9
    return UNKNOWN_GFLOPS


def _timm_gflops(name: str, side: int) -> float:
    millions, convolution = next(
        (sizes for word, sizes in TIMM_SIZES.items() if word in name), (None, UNKNOWN_GFLOPS)
    )
    patch = next((part[5:] for part in name.split("_") if part.startswith("patch")), "")
    if millions is not None and patch.isdigit() and "swin" not in name:
        return 2 * millions * 1e6 * (side // int(patch)) ** 2 / 1e9
    return convolution * (side / 224) ** 2


def _vision_config(spec: ModelSpec) -> dict[str, Any]:
    """The visual tower's configuration; planning builds no model and imports no torch."""
    provider = provider_name(spec.base)
    if provider == "own":
        return {}
    if provider == "transformers":
        return vision_sizes(spec.base)
    if provider == "timm":
        return {"timm_model_name": timm_name(spec.base)}
    return configuration(spec)[0].get("vision_cfg", {})
