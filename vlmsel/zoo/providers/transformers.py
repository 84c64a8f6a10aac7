"""Provider of transformers: its dual encoders (CLIP, SigLIP, SigLIP 2, MetaCLIP, ALIGN, kin).

Generative models are the affair of `generative`. Of the others whatever `AutoModel` makes of a
folder is taken, if it has `get_image_features` and `get_text_features`. Weights are read from
safetensors, code of a folder or a hub is never run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from vlmsel.errors import ModelError, first_line
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.encoders import Transform
from vlmsel.zoo.folder_rules import SAFE_OPTIONS, has_vocabulary
from vlmsel.zoo.identity import ModelIdentity
from vlmsel.zoo.loaded_model import ImageEncoder, LoadedModel, freeze
from vlmsel.zoo.providers import generative
from vlmsel.zoo.providers.commentary import quiet_transformers
from vlmsel.zoo.providers.transformers_folder import model_folder, read_config, weight_files
from vlmsel.zoo.providers.whole_model import BUILD_ERRORS, load_whole
from vlmsel.zoo.transform_bounds import BoundedTransform

# Layers of transformers' encoders: `encoder.layers.0`, `encoder.layer.0`, ALIGN's `blocks.0`.
BLOCK_PATTERN = r"(?:^|\.)(?:layers?|blocks|stages)\.\d+$"
TEXT_BATCH = 256
# What a tokenizer says that knows no limit.
NO_LIMIT = 100_000
WIDE, HIGH = (48, 32), (32, 48)


class VisualTower(nn.Module):
    """The visual half of a dual encoder: images to features before normalisation.

    Its submodules are the model's own, so that hooks on them see the model's own forward pass.
    """

    block_pattern = BLOCK_PATTERN

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        for name, module in model.named_children():
            if name.startswith(("vision", "visual", "image")):
                self.add_module(name, module)
        # In a tuple it is no submodule: the text tower is none of this tower's.
        self._whole = (model,)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D)."""
        model: Any = self._whole[0]
        return features(model.get_image_features(pixel_values=images))


class TransformersTextEncoder:
    """Strings -> (N, D) L2-normalised features on the model's device, without gradient."""

    def __init__(self, spec: ModelSpec, model: Any, tokenizer: Any, device: torch.device) -> None:
        self._spec = spec
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._length = _text_length(model.config, tokenizer)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Embed `texts`, in batches.

        Raises:
            ModelError: the tokenizer's vocabulary is larger than the model's.
        """
        with torch.no_grad():
            parts = [
                self.encode(self.tokenize(texts[start : start + TEXT_BATCH]))
                for start in range(0, len(texts), TEXT_BATCH)
            ]
        return torch.cat(parts)

    def encode(self, tokens: dict[str, Tensor]) -> Tensor:
        """Tokens -> (N, D), L2-normalised, with gradients where they are recorded."""
        return normalize(features(self._model.get_text_features(**tokens)), dim=-1)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and masks, each (N, L), on the model's device.

        Raises:
            ModelError: as of a call.
        """
        # To the full length, as SigLIP was trained; others mask what is padded.
        tokens = self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        )
        known = _text_config(self._model.config).get("vocab_size")
        largest = int(tokens["input_ids"].max())
        if isinstance(known, int) and largest >= known:
            raise ModelError(
                f"{self._spec.name}: its tokenizer gives token {largest}, but the model knows "
                f"{known}: the tokenizer in its folder is that of another model"
            )
        names = ("input_ids", "attention_mask")
        return {name: tokens[name].to(self._device) for name in names if name in tokens}


def load(spec: ModelSpec, identity: ModelIdentity, device: torch.device) -> LoadedModel:
    """Build a dual encoder from its folder, every weight of it.

    Raises:
        ModelError: the folder may not be read, holds another sort of model, or weights that do not
            fit.
    """
    folder = model_folder(spec, with_weights=True)
    config = read_config(spec, folder)
    weight_files(spec, folder)
    if generative.is_generative(config):
        with quiet_transformers():
            return generative.load(spec, identity, device, folder)
    with quiet_transformers():
        model = _build(spec, folder)
        transform, size = _transform(spec, folder)
        tokenizer = _tokenizer(spec, folder)
    freeze(model, device)
    visual = VisualTower(model).eval()
    scale, bias = _temperature(model)
    return LoadedModel(
        spec=spec,
        identity=identity,
        visual=visual,
        image_size=size,
        encode_image=ImageEncoder(visual),
        encode_text=TransformersTextEncoder(spec, model, tokenizer, device),
        transform=transform,
        logit_scale=scale,
        logit_bias=bias,
        text_tower=getattr(model, "text_model", None),
    )


def features(output: Any) -> Tensor:
    """The features in what transformers gives: a tensor before version 5, then an output."""
    return output if isinstance(output, Tensor) else output.pooler_output


def _build(spec: ModelSpec, folder: Path) -> Any:
    from transformers import AutoModel

    model = load_whole(AutoModel, spec, folder)
    lacking = [n for n in ("get_image_features", "get_text_features") if not hasattr(model, n)]
    if lacking:
        raise ModelError(
            f"{spec.name}: a {type(model).__name__} has no {' and no '.join(lacking)}: it is no "
            "dual encoder of images and texts"
        )
    return model


def _transform(spec: ModelSpec, folder: Path) -> tuple[Transform, tuple[int, int]]:
    """The folder's own image processor, one picture at a time, and the size that it gives.

    Raises:
        ModelError: there is none, or it gives pictures of several sizes, or no pictures.
    """
    from transformers import AutoImageProcessor

    try:
        processor: Any = AutoImageProcessor.from_pretrained(folder, **SAFE_OPTIONS)
    except BUILD_ERRORS as error:
        reason = first_line(error)
        raise ModelError(f"{spec.name}: no image processor in {folder}: {reason}") from error

    def transform(image: Image.Image) -> Tensor:
        return processor(images=image, return_tensors="pt")["pixel_values"][0]

    shapes = {tuple(transform(Image.new("RGB", pair)).shape) for pair in (WIDE, HIGH)}
    (shape, *others) = sorted(shapes)
    if others or len(shape) != 3:
        raise ModelError(
            f"{spec.name}: its image processor gives {' and '.join(map(str, sorted(shapes)))} for "
            "a wide and a high picture; one size (3, H, W) for all is needed (a model of variable "
            "resolution, such as SigLIP 2 naflex, is not supported)"
        )
    size = (int(shape[1]), int(shape[2]))
    edge = (getattr(processor, "size", None) or {}).get("shortest_edge")
    bounds = (int(edge), int(edge)) if edge else size
    mode = "shortest" if edge else "squash"
    return BoundedTransform(cast(Transform, transform), bounds, mode), size


def _tokenizer(spec: ModelSpec, folder: Path) -> Any:
    from transformers import AutoTokenizer

    if not has_vocabulary(folder):
        raise ModelError(
            f"{spec.name}: no tokenizer in {folder}: save it there with its save_pretrained"
        )
    try:
        return AutoTokenizer.from_pretrained(folder, **SAFE_OPTIONS)
    except BUILD_ERRORS as error:
        reason = first_line(error)
        raise ModelError(f"{spec.name}: its tokenizer cannot be loaded: {reason}") from error


def _temperature(model: Any) -> tuple[float, float]:
    """Scale and bias of its logits: a logarithm in CLIP and SigLIP, a divisor in ALIGN."""
    scale, bias = getattr(model, "logit_scale", None), getattr(model, "logit_bias", None)
    divisor = getattr(model, "temperature", None)
    if scale is not None:
        factor = float(scale.exp())
    else:
        factor = 1.0 if divisor is None else 1.0 / float(divisor)
    return factor, 0.0 if bias is None else float(bias)


def _text_length(config: Any, tokenizer: Any) -> int:
    """Tokens of a text: as many as the tokenizer says, and no more than there are positions."""
    positions = _text_config(config).get("max_position_embeddings")
    declared = getattr(tokenizer, "model_max_length", None)
    limits = [n for n in (positions, declared) if isinstance(n, int) and 0 < n < NO_LIMIT]
    return min(limits, default=77)


def _text_config(config: Any) -> dict[str, Any]:
    found = getattr(config, "text_config", None)
    return found.to_dict() if found is not None else {}
