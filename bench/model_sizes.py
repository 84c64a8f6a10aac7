"""Count the parameters of the image encoders of the published transferability tables.

    python bench/model_sizes.py > vlmsel/published/model_sizes.yaml

No weights are loaded or allocated: the models are built on torch's meta device.
"""

import logging

import open_clip
import torch
import yaml
from rich.console import Console
from torchvision import models

CNNS = (
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "densenet121",
    "densenet169",
    "densenet201",
    "mnasnet1_0",
    "mobilenet_v2",
    "googlenet",
    "inception_v3",
)
CLIPS = ("ViT-B-16", "ViT-B-16-plus-240", "ViT-B-32", "ViT-L-14", "ViT-H-14", "ViT-g-14")
WITH_HEADS = {"googlenet", "inception_v3"}


def parameters(module: torch.nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def count() -> dict[str, int]:
    logging.disable(logging.WARNING)  # open_clip warns that it loads no weights
    sizes = {}
    with torch.device("meta"):
        for name in CNNS:
            bare = {"aux_logits": False, "init_weights": False} if name in WITH_HEADS else {}
            sizes[name] = parameters(getattr(models, name)(weights=None, **bare))
        for name in CLIPS:
            clip = open_clip.create_model(name, pretrained=None, device="meta")
            sizes[name] = parameters(clip.visual)
    return sizes


if __name__ == "__main__":
    Console(soft_wrap=True).print(yaml.safe_dump(count(), sort_keys=False), end="", highlight=False)
