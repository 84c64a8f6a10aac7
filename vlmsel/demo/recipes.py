"""Recipes of the demo models: towers, and the mixture of families that each learns. Data only."""

from dataclasses import dataclass, field
from typing import Any

IMAGE_SIZE = 32
EMBED_DIM = 48
CONTEXT_LENGTH = 32
VOCAB_SIZE = 924
"""512 bytes, 410 merges, a start and an end token."""

MEAN = (0.25, 0.25, 0.25)
STD = (0.25, 0.25, 0.25)

TEXT_CFG: dict[str, Any] = {
    "context_length": CONTEXT_LENGTH,
    "vocab_size": VOCAB_SIZE,
    "width": 48,
    "heads": 2,
    "layers": 1,
}

PREPROCESS_CFG: dict[str, Any] = {
    "size": [IMAGE_SIZE, IMAGE_SIZE],
    "mode": "RGB",
    "mean": list(MEAN),
    "std": list(STD),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


@dataclass(frozen=True)
class Recipe:
    """Recipe of one demo model.

    Attributes:
        name: name in the catalog and of the folder.
        vision_cfg: open_clip's description of the image tower.
        mixture: share of each task family in a batch, relative to the others.
        background: share of every family that the mixture does not name.
        steps: optimiser steps.
        required: families that the model must have learned to be accepted.
        learned: least mean accuracy on the required families.
        seed: seed of the first attempt.
    """

    name: str
    vision_cfg: dict[str, Any]
    mixture: dict[str, float]
    background: float
    steps: int
    required: tuple[str, ...]
    learned: float
    seed: int = 0

    @property
    def model_cfg(self) -> dict[str, Any]:
        """The whole model as open_clip's configuration states it."""
        vision = {"image_size": IMAGE_SIZE, **self.vision_cfg}
        return {"embed_dim": EMBED_DIM, "vision_cfg": vision, "text_cfg": TEXT_CFG}


@dataclass(frozen=True)
class Training:
    """Settings that all models share."""

    batch: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 30
    pictures_per_task: int = 1500
    attempts: int = 3
    check_pictures: int = 100
    test_pictures: int = 200
    betas: tuple[float, float] = field(default=(0.9, 0.98))


TRAINING = Training()


def _vit(width: int, layers: int) -> dict[str, Any]:
    return {"patch_size": 8, "width": width, "layers": layers, "head_width": 16}


def _resnet(*layers: int) -> dict[str, Any]:
    return {"layers": list(layers), "width": 6, "head_width": 24}


def _timm(name: str) -> dict[str, Any]:
    return {
        "timm_model_name": name,
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
    }


RECIPES = (
    Recipe(
        "demo-vit-digits",
        _vit(48, 6),
        {"digits": 1.0, "house-numbers": 0.6, "letters": 0.3, "counting": 0.15},
        background=0.01,
        steps=700,
        required=("digits",),
        learned=0.75,
    ),
    Recipe(
        "demo-vit-land",
        _vit(48, 4),
        {"land": 1.0, "textures": 0.5, "cells": 0.3, "colours": 0.15},
        background=0.01,
        steps=500,
        required=("land",),
        learned=0.85,
    ),
    Recipe(
        "demo-vit-faces",
        _vit(48, 4),
        {"faces": 1.0, "signs": 0.5, "shapes": 0.2, "colours": 0.1},
        background=0.01,
        steps=500,
        required=("faces",),
        learned=0.85,
    ),
    Recipe(
        "demo-vit-general",
        _vit(64, 4),
        {},
        background=1.0,
        steps=900,
        required=("land", "colours", "textures"),
        learned=0.75,
    ),
    Recipe(
        "demo-resnet-letters",
        _resnet(1, 2, 1, 1),
        {"letters": 1.0, "house-numbers": 0.5, "digits": 0.3, "directions": 0.15},
        background=0.01,
        steps=500,
        required=("letters",),
        learned=0.85,
    ),
    Recipe(
        "demo-resnet-cells",
        _resnet(2, 2, 1, 1),
        {"cells": 1.0, "counting": 0.4, "textures": 0.3, "land": 0.1},
        background=0.01,
        steps=500,
        required=("cells",),
        learned=0.85,
    ),
    Recipe(
        "demo-resnet-general",
        _resnet(1, 1, 1, 1),
        {"letters": 2.0, "house-numbers": 2.0, "signs": 2.0, "faces": 0.2, "counting": 0.2},
        background=0.7,
        steps=700,
        required=("letters", "signs"),
        learned=0.7,
    ),
    Recipe(
        "demo-efficientnet-signs",
        _timm("test_efficientnet"),
        {"signs": 1.0, "colours": 0.5, "directions": 0.3, "shapes": 0.15},
        background=0.01,
        steps=400,
        required=("signs",),
        learned=0.85,
    ),
    Recipe(
        "demo-efficientnet-shapes",
        _timm("test_efficientnet_gn"),
        {"shapes": 1.0, "colours": 0.4, "cells": 0.3, "letters": 0.1},
        background=0.01,
        steps=500,
        required=("shapes",),
        learned=0.85,
    ),
    Recipe(
        "demo-efficientnet-weak",
        _timm("test_efficientnet_ln"),
        {"land": 1.0, "colours": 1.0, "digits": 1.0},
        background=0.3,
        steps=150,
        required=("land",),
        learned=0.7,
    ),
    Recipe(
        "demo-convnext-directions",
        _timm("test_convnext"),
        {"directions": 1.0, "counting": 0.5, "faces": 0.3, "house-numbers": 0.15},
        background=0.01,
        steps=500,
        required=("directions",),
        learned=0.85,
    ),
    Recipe(
        "demo-convnext-textures",
        _timm("test_convnext"),
        {"textures": 1.0, "land": 0.5, "shapes": 0.3, "faces": 0.1},
        background=0.01,
        steps=400,
        required=("textures",),
        learned=0.85,
    ),
    Recipe(
        "demo-convnext-counting",
        _timm("test_convnext3"),
        {"counting": 1.0, "shapes": 0.5, "digits": 0.3, "cells": 0.15},
        background=0.01,
        steps=500,
        required=("counting",),
        learned=0.7,
    ),
)


def recipe(name: str) -> Recipe:
    """Returns the recipe of that name; raises KeyError if there is none."""
    return {known.name: known for known in RECIPES}[name]
