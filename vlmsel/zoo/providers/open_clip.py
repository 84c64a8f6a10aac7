"""Provider of open_clip's models: names and tags, directories, checkpoint files."""

from pathlib import Path
from typing import Any, cast

import torch
from open_clip import create_model, download_pretrained
from open_clip.factory import load_checkpoint
from open_clip.transform import PreprocessCfg, image_transform_v2

from vlmsel.errors import ModelError, first_line
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.checkpoint import CHECKPOINT_ERRORS, check_shapes, misfit, read_shapes
from vlmsel.zoo.encoders import Transform
from vlmsel.zoo.folder_rules import check_preprocessing
from vlmsel.zoo.identity import ModelIdentity, configuration
from vlmsel.zoo.loaded_model import ImageEncoder, LoadedModel, freeze
from vlmsel.zoo.open_clip_tables import Config, tag_config
from vlmsel.zoo.output_silence import quiet_open_clip
from vlmsel.zoo.text_encoder import TextEncoder
from vlmsel.zoo.towers import input_size, to_pair
from vlmsel.zoo.transform_bounds import BoundedTransform, ResizeMode
from vlmsel.zoo.weights import local_weights


def load(spec: ModelSpec, identity: ModelIdentity, device: torch.device) -> LoadedModel:
    """Build a model and load its weights, all of them.

    Raises:
        ModelError: it cannot be built, or weights are missing or do not fit.
    """
    model, transform = _open_clip_model(spec)
    tower = freeze(model, device)
    visual, text = model.visual, TextEncoder(spec, model, device)
    scale, bias = _temperature(model)
    size, encode = input_size(visual), ImageEncoder(visual)
    return LoadedModel(spec, identity, visual, size, encode, text, transform, scale, bias, tower)


def _temperature(model: Any) -> tuple[float, float]:
    """Scale and bias of an open_clip model's logits; its scale is kept as a logarithm."""
    scale, bias = getattr(model, "logit_scale", None), getattr(model, "logit_bias", None)
    return (
        1.0 if scale is None else float(scale.exp()),
        0.0 if bias is None else float(bias),
    )


def _open_clip_model(spec: ModelSpec) -> tuple[Any, Transform]:
    _, preprocess = configuration(spec)
    check_preprocessing(spec.name, preprocess)
    is_directory = spec.weights is not None and Path(spec.weights).is_dir()
    name = f"local-dir:{spec.weights}" if is_directory else spec.model
    with quiet_open_clip():
        path = _checkpoint(spec)
        try:
            model: Any = create_model(
                name, load_weights=False, pretrained_text=False, pretrained_image=False
            )
        except (RuntimeError, ValueError, TypeError, KeyError, OSError, AssertionError) as error:
            raise ModelError(f"{spec.name}: cannot be built: {first_line(error)}") from error
        _load_weights(spec, model, path)
    return model, open_clip_transform({**preprocess, "size": input_size(model.visual)})


def open_clip_transform(preprocess: Config) -> Transform:
    """open_clip's own preprocessing of images, within bounds."""
    config = PreprocessCfg(**preprocess)
    transform = cast(Transform, image_transform_v2(config, is_train=False))
    return BoundedTransform(transform, to_pair(config.size), cast(ResizeMode, config.resize_mode))


def _checkpoint(spec: ModelSpec) -> Path:
    if spec.weights is not None:
        return local_weights(spec)
    tag: Config = tag_config(spec.model, spec.pretrained)
    try:
        return Path(download_pretrained(tag))
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        msg = f"{spec.name}: no download of its weights: {reason}; set `weights` to a local copy"
        raise ModelError(msg) from error


def _load_weights(spec: ModelSpec, model: Any, path: Path) -> None:
    shapes = read_shapes(spec.name, path)
    check_shapes(spec.name, path, shapes, model)
    try:
        load_checkpoint(model, str(path), strict=True, weights_only=True)
    except CHECKPOINT_ERRORS as error:
        raise ModelError(misfit(spec, path, error)) from error
