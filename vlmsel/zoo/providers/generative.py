"""Generative models of transformers: LLaVA, Qwen-VL, SmolVLM, InternVL, PaliGemma, Gemma 3, kin.

Whatever `AutoModelForImageTextToText` makes of a folder is taken, if it has a decoder with layers
and an image encoder with blocks. Weights are read from safetensors, code is never run.
"""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from vlmsel.errors import ModelError, first_line
from vlmsel.zoo.blocks import Blocks, functional_blocks
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.encoders import Transform
from vlmsel.zoo.folder_rules import SAFE_OPTIONS, has_vocabulary
from vlmsel.zoo.identity import ModelIdentity
from vlmsel.zoo.loaded_model import LoadedModel, freeze
from vlmsel.zoo.providers.choice_scorer import LONGEST_MESSAGE, PROCESS_ERRORS, ChoiceScorer
from vlmsel.zoo.providers.whole_model import BUILD_ERRORS, load_whole
from vlmsel.zoo.transform_bounds import BoundedTransform

# Image encoders of the families by their names in `model.model`.
ENCODERS = ("vision_tower", "visual", "vision_model")
WIDE, HIGH = (48, 32), (32, 48)


class PictureTower(nn.Module):
    """The image encoder of a generative model: pictures to the mean of what is read of them.

    Its submodules are the model's own, so that hooks on them see the model's own forward pass.
    """

    block_pattern = r"(?:^|\.)(?:layers?|blocks)\.\d+$"

    def __init__(self, model: Any) -> None:
        super().__init__()
        core = model.model
        for name in ENCODERS:
            if isinstance(getattr(core, name, None), nn.Module):
                self.add_module(name, getattr(core, name))
        if not self._modules:
            raise AttributeError(f"none of {', '.join(ENCODERS)}")
        # In a tuple it is no submodule: the language model is none of this tower's.
        self._whole = (core,)
        self.unread = _find_unread(functional_blocks(self), model.config)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D), the mean over a picture's tokens as the language model gets them.

        Raises:
            ModelError: the tower gives another number of pictures.
        """
        found = self._whole[0].get_image_features(pixel_values=images)
        tokens = getattr(found, "pooler_output", found)
        tokens = tokens if isinstance(tokens, Tensor) else torch.stack(list(tokens))
        if tokens.ndim != 3 or len(tokens) != len(images):
            raise ModelError(f"{len(images)} pictures became {tuple(tokens.shape)}")
        return tokens.mean(dim=1)


class DecoderTower(nn.Module):
    """The layers of a generative model's language model; it is never called itself."""

    block_pattern = r"^layers\.\d+$"

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.add_module("layers", layers)


def _find_unread(blocks: Blocks, config: Any) -> tuple[nn.Module, ...]:
    """The blocks after the last layer of the image encoder that the model reads."""
    layers = getattr(config, "vision_feature_layer", None)
    if layers is None:
        return ()
    # Hidden states begin with what the first block takes.
    numbers = [layers] if isinstance(layers, int) else list(layers)
    last = max(n if n >= 0 else len(blocks) + 1 + n for n in numbers)
    return tuple(module for _, module in blocks[last:])


def is_generative(config: dict[str, Any]) -> bool:
    """True if a folder's configuration is that of a model that answers in words."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return config.get("model_type") in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def load(
    spec: ModelSpec, identity: ModelIdentity, device: torch.device, folder: Path
) -> LoadedModel:
    """Build a generative model from its checked folder, every weight of it, and try it once.

    Raises:
        ModelError: weights or processor are missing or do not fit, or its layers are not found.
    """
    from transformers import AutoModelForImageTextToText

    model = load_whole(AutoModelForImageTextToText, spec, folder, LONGEST_MESSAGE)
    processor = _processor(spec, folder)
    freeze(model, device)
    visual, decoder = find_towers(spec, model)
    scorer = ChoiceScorer(spec.name, model, processor, device)
    _check_vocabulary(spec, model, processor)
    _try_out(spec, scorer)
    transform, size = _transform(processor)
    is_fixed = transform is not None and _can_embed(visual, size, device)
    return LoadedModel(
        spec=spec,
        identity=identity,
        visual=visual,
        image_size=size,
        encode_image=visual,
        encode_text=None,
        transform=transform or _refuse_transform(spec),
        text_tower=decoder,
        score_choices=scorer,
        embeds_images=is_fixed,
    )


def _processor(spec: ModelSpec, folder: Path) -> Any:
    from transformers import AutoProcessor

    if not has_vocabulary(folder):
        raise ModelError(
            f"{spec.name}: no tokenizer in {folder}: save it there with its save_pretrained"
        )
    try:
        processor: Any = AutoProcessor.from_pretrained(folder, **SAFE_OPTIONS)
    except BUILD_ERRORS as error:
        reason = first_line(error, LONGEST_MESSAGE)
        raise ModelError(f"{spec.name}: its processor cannot be loaded: {reason}") from error
    lacking = [n for n in ("tokenizer", "image_processor") if not hasattr(processor, n)]
    if lacking:
        raise ModelError(
            f"{spec.name}: its processor is a {type(processor).__name__} without "
            f"{' and '.join(lacking)}: save the model's own processor there with save_pretrained"
        )
    return processor


def find_towers(spec: ModelSpec, model: Any) -> tuple[PictureTower, DecoderTower]:
    """The image encoder and the language model's layers.

    Raises:
        ModelError: they have other names than those of the known families.
    """
    unknown = ModelError(
        f"{spec.name}: the layers of a {type(model).__name__} are not known here: the `layers` of "
        f"its decoder, or an image encoder named {', '.join(ENCODERS)}"
    )
    try:
        layers = model.get_decoder().layers
        visual = PictureTower(model).eval()
    except AttributeError:
        raise unknown from None
    if not isinstance(layers, nn.ModuleList) or not hasattr(model.model, "get_image_features"):
        raise unknown
    return visual, DecoderTower(layers).eval()


def _check_vocabulary(spec: ModelSpec, model: Any, processor: Any) -> None:
    """Refuse the tokenizer of another model.

    Raises:
        ModelError: it has more words than the model, or another word for a picture.
    """
    known, largest = model.get_input_embeddings().num_embeddings, len(processor.tokenizer)
    token = getattr(processor, "image_token_id", None)
    expected = getattr(model.config, "image_token_id", None)
    if largest > known:
        raise ModelError(
            f"{spec.name}: its tokenizer has {largest} tokens, and the model knows {known}: the "
            "tokenizer in its folder is that of another model"
        )
    # Gemma 3 names a word around the pictures there; its tokenizer knows the other.
    known_as = {token, getattr(processor.tokenizer, "image_token_id", None)} - {None}
    if expected is not None and known_as and expected not in known_as:
        raise ModelError(
            f"{spec.name}: its processor puts token {token} in the place of a picture, and the "
            f"model expects {expected}: the processor in its folder does not fit"
        )


def _try_out(spec: ModelSpec, scorer: ChoiceScorer) -> None:
    """Put one picture and question through the model.

    Raises:
        ModelError: the number of a picture's tokens is not what the model expects, or the like.
    """
    try:
        scorer.try_out()
    except ModelError:
        raise
    except PROCESS_ERRORS as error:
        raise ModelError(
            f"{spec.name}: its processor does not fit the model, or fails on a picture: "
            f"{first_line(error, LONGEST_MESSAGE)}"
        ) from error


def _transform(processor: Any) -> tuple[Transform | None, tuple[int, int]]:
    """The image processor's own preprocessing, where it gives one size, and that size."""
    handler = processor.image_processor

    def transform(image: Image.Image) -> Tensor:
        return handler(images=image, return_tensors="pt")["pixel_values"][0]

    try:
        shapes = {tuple(transform(Image.new("RGB", pair)).shape) for pair in (WIDE, HIGH)}
    except PROCESS_ERRORS:
        return None, WIDE
    (shape, *others) = sorted(shapes)
    if others or len(shape) != 3:
        return None, WIDE
    size = (int(shape[1]), int(shape[2]))
    edge = (getattr(handler, "size", None) or {}).get("shortest_edge")
    bounds = (int(edge), int(edge)) if edge else size
    return BoundedTransform(transform, bounds, "shortest" if edge else "squash"), size


def _can_embed(visual: PictureTower, size: tuple[int, int], device: torch.device) -> bool:
    """True if the tower alone takes pictures of one size."""
    try:
        with torch.inference_mode():
            return visual(torch.zeros(2, 3, *size, device=device)).ndim == 2
    except (ModelError, *PROCESS_ERRORS):
        return False


def _refuse_transform(spec: ModelSpec) -> Transform:
    def refuse(_image: Image.Image) -> Tensor:
        raise ModelError(
            f"{spec.name} reads pictures at several sizes, so that they have no embedding here"
        )

    return refuse
