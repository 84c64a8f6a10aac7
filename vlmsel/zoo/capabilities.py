"""Capabilities of a loaded model, whatever library it comes from."""

from enum import StrEnum


class Capability(StrEnum):
    """One thing that a measurement may ask of a model."""

    image_embedding = "image embedding"
    text_embedding = "text embedding"
    choice_scores = "choice scores"
    blocks = "blocks"
