"""Recipes of the embedded generative models: towers, and the mixture of questions to learn."""

from dataclasses import dataclass
from typing import Any

from vlmsel.demo.recipes import IMAGE_SIZE

PATCH_SIZE = 8
N_IMAGE_TOKENS = (IMAGE_SIZE // PATCH_SIZE) ** 2
HEAD_WIDTH = 16
CONTEXT_LENGTH = 64


@dataclass(frozen=True)
class VlmRecipe:
    """Recipe of one model: a CLIP image tower, a projector and a Llama.

    Attributes:
        name: name in the catalog and of the folder.
        vision: blocks and width of the image tower.
        text: layers, width and width of the MLP of the language model.
        feature_layer: which of the tower's states is read, counted from the end: -1 is the last; at
            -2 the last block is off the path.
        mixture: share of each question in a batch, relative to the others.
        background: share of every question that the mixture does not name.
        steps: optimiser steps.
        required: questions that the model must have learned to be accepted.
        learned: least mean accuracy on them.
        seed: seed of the first attempt.
    """

    name: str
    vision: tuple[int, int]
    text: tuple[int, int, int]
    feature_layer: int
    mixture: dict[str, float]
    background: float
    steps: int
    required: tuple[str, ...]
    learned: float
    seed: int = 0

    @property
    def vision_config(self) -> dict[str, Any]:
        """The image tower as transformers' configuration has it."""
        blocks, width = self.vision
        return {
            "model_type": "clip_vision_model",
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "projection_dim": width,
            "num_hidden_layers": blocks,
            "num_attention_heads": width // HEAD_WIDTH,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
        }

    def text_config(self, vocab_size: int) -> dict[str, Any]:
        """The language model, likewise."""
        layers, width, inner = self.text
        return {
            "model_type": "llama",
            "vocab_size": vocab_size,
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": width // HEAD_WIDTH,
            "num_key_value_heads": width // HEAD_WIDTH,
            "max_position_embeddings": CONTEXT_LENGTH,
            "initializer_range": 0.06,
        }


@dataclass(frozen=True)
class VlmTraining:
    """Settings that all models share."""

    batch: int = 64
    lr: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.02
    warmup_steps: int = 50
    pictures_per_question: int = 1500
    attempts: int = 3
    check_pictures: int = 100
    test_pictures: int = 200


VLM_TRAINING = VlmTraining()

VLM_RECIPES = (
    VlmRecipe(
        "demo-vlm-scenes",
        vision=(3, 64),
        text=(6, 64, 160),
        feature_layer=-1,
        mixture={
            "counting": 1.0,
            "directions": 1.0,
            "left-shape": 1.2,
            "right-colour": 1.2,
            "shapes": 1.0,
            "colours": 1.0,
            "cells": 0.5,
        },
        background=0.05,
        steps=1100,
        required=("counting", "directions", "colours"),
        learned=0.75,
        seed=1,
    ),
    VlmRecipe(
        "demo-vlm-symbols",
        vision=(4, 64),
        text=(5, 64, 160),
        feature_layer=-2,
        mixture={
            "digits": 1.2,
            "house-numbers": 1.0,
            "letters": 1.2,
            "signs": 1.0,
            "faces": 0.8,
            "counting": 0.5,
        },
        background=0.05,
        steps=1100,
        required=("digits", "letters", "signs"),
        learned=0.6,
        seed=2,
    ),
)


def vlm_recipe(name: str) -> VlmRecipe:
    """Returns the recipe of that name; raises KeyError if there is none."""
    return {known.name: known for known in VLM_RECIPES}[name]
