"""Folders of models: which library saved one, told without importing any."""

from pathlib import Path

from vlmsel.documents import read_json
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.folder_rules import MODEL_CONFIG
from vlmsel.zoo.weights import CONFIG_NAME


def provider_name(spec: ModelSpec) -> str:
    """The library that a model is of: as its catalog says, or as its folder shows."""
    if spec.encoder is not None:
        return "own"
    if spec.provider is not None:
        return spec.provider
    folder = Path(spec.weights) if spec.weights is not None else None
    if folder is None or not (folder / MODEL_CONFIG).is_file() or (folder / CONFIG_NAME).is_file():
        return "open_clip"
    try:
        document = read_json(folder / MODEL_CONFIG)
    except (OSError, ValueError):
        # transformers' rules say what is wrong with it.
        return "transformers"
    is_timm = isinstance(document, dict) and "architecture" in document
    return "timm" if is_timm and "model_type" not in document else "transformers"
