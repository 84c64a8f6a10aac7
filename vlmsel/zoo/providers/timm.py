"""Provider of timm's image towers: embeddings and profiles; without text they answer nothing."""

from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models import load_checkpoint

from vlmsel.errors import ModelError, first_line
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.checkpoint import CHECKPOINT_ERRORS, misfit, read_shapes
from vlmsel.zoo.encoders import from_timm
from vlmsel.zoo.identity import ModelIdentity
from vlmsel.zoo.loaded_model import ImageEncoder, LoadedModel, freeze
from vlmsel.zoo.providers.timm_tags import PREPROCESSING, folder_config, timm_name
from vlmsel.zoo.towers import to_pair
from vlmsel.zoo.weights import local_weights

# Arguments of a constructor that a folder may name: sizes and switches of a tower.
ARGUMENTS = (
    *("img_size", "in_chans", "global_pool", "patch_size", "embed_dim", "depth", "num_heads"),
    *("class_token", "reg_tokens", "mlp_ratio", "qkv_bias", "init_values", "dynamic_img_size"),
)
CLASSIFIERS = ("head.", "fc.", "classifier.", "head.fc.", "last_linear.")


def load(spec: ModelSpec, identity: ModelIdentity, device: torch.device) -> LoadedModel:
    """Build a tower without its classifier, and load its weights, all of them.

    Raises:
        ModelError: it cannot be built, or weights are missing or do not fit.
    """
    module = _build(spec)
    built = from_timm(spec, module)
    visual = freeze(built.module, device)
    size = to_pair(built.image_size)
    return LoadedModel(spec, identity, visual, size, ImageEncoder(visual), None, built.transform)


def _build(spec: ModelSpec) -> Any:
    name, config = timm_name(spec), folder_config(spec)
    arguments = _arguments(spec, config)
    stored = config.get("pretrained_cfg") or {}
    overlay = {key: stored[key] for key in PREPROCESSING if key in stored}
    is_here = spec.weights is not None
    try:
        module: Any = timm.create_model(
            name,
            pretrained=not is_here,
            num_classes=0,
            pretrained_cfg_overlay=overlay or None,
            **arguments,
        )
    except CHECKPOINT_ERRORS as error:
        reason = first_line(error)
        raise ModelError(f"{spec.name}: cannot be built: {reason}") from error
    if is_here:
        _load_weights(spec, module, local_weights(spec))
    return module


def _arguments(spec: ModelSpec, config: dict[str, Any]) -> dict[str, Any]:
    stored = config.get("model_args") or {}
    found = dict(stored) if isinstance(stored, dict) else stored
    if isinstance(found, dict):
        # The classifier is left away, whatever its classes.
        found.pop("num_classes", None)
    unknown = sorted(set(found) - set(ARGUMENTS)) if isinstance(found, dict) else ["model_args"]
    if unknown:
        raise ModelError(
            f"{spec.name}: its {Path(spec.weights or '') / 'config.json'} names the argument "
            f"{unknown[0]}; a folder may name {', '.join(ARGUMENTS)}"
        )
    return cast(dict[str, Any], found)


def _load_weights(spec: ModelSpec, module: Any, path: Path) -> None:
    """Load a checkpoint strictly, but for the classifier, which is left away.

    Raises:
        ModelError: it does not fit.
    """
    wanted = set(module.state_dict())
    lacking = sorted(wanted - set(read_shapes(spec.name, path)))
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ModelError(
            f"{spec.name}: {path} does not fit its architecture: missing {lacking[0]}{more}"
        )
    try:
        found = load_checkpoint(module, str(path), strict=False, weights_only=True)
    except CHECKPOINT_ERRORS as error:
        raise ModelError(misfit(spec, path, error)) from error
    foreign = [k for k in found.unexpected_keys if not k.startswith(CLASSIFIERS)]
    if foreign or found.missing_keys:
        first = (foreign or found.missing_keys)[0]
        raise ModelError(f"{spec.name}: {path} does not fit its architecture: {first}")
