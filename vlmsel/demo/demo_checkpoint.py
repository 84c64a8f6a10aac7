"""Saves demo models the way open_clip loads them from a folder, and loads them again."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors.torch import save_file
from torch import nn

from vlmsel.demo.recipes import CONTEXT_LENGTH, PREPROCESS_CFG, Recipe
from vlmsel.demo.zeroshot import Tokenizer

if TYPE_CHECKING:
    from open_clip import CLIP

WEIGHTS_FILE = "open_clip_model.safetensors"
CONFIG_FILE = "open_clip_config.json"


@dataclass(frozen=True)
class SavedWeights:
    """A weights file as it lies on disk: size in bytes and hash."""

    sha256: str
    size: int


def save(model: nn.Module, recipe: Recipe, folder: Path) -> SavedWeights:
    """Writes the model's weights in half precision and its configuration into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: _half(value) for name, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    config = {"model_cfg": recipe.model_cfg, "preprocess_cfg": PREPROCESS_CFG}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1) + "\n")
    return inspect(folder)


def inspect(folder: Path) -> SavedWeights:
    """Returns size and hash of the weights in a model's folder."""
    return hash_weights(folder / WEIGHTS_FILE)


def hash_weights(path: Path) -> SavedWeights:
    """Returns size and hash of a weights file."""
    data = path.read_bytes()
    return SavedWeights(hashlib.sha256(data).hexdigest(), len(data))


def load(folder: Path) -> "CLIP":
    """Loads a saved model into fp32; every weight must fit, and nothing is fetched."""
    import open_clip

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder.resolve()}")
    return cast("CLIP", model.eval())


def load_tokenizer(bpe_path: Path) -> Tokenizer:
    """Returns the demo models' tokenizer."""
    import open_clip

    return open_clip.SimpleTokenizer(
        bpe_path=str(bpe_path.resolve()), context_length=CONTEXT_LENGTH
    )


def _half(value: torch.Tensor) -> torch.Tensor:
    """Halves the precision of weights; counters of batch normalisation stay as they are."""
    return value.half().contiguous() if value.is_floating_point() else value.contiguous()
