"""Image towers of timm: which weights they are, without building one."""

from pathlib import Path
from typing import Any

from vlmsel.documents import read_json
from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.folder_rules import MODEL_CONFIG
from vlmsel.zoo.weights import hub_sha256, local_sha256, local_weights

# What a folder's configuration says of the preprocessing.
PREPROCESSING = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


def timm_name(spec: ModelSpec) -> str:
    """The architecture with its tag, as timm writes them.

    Raises:
        ModelError: the folder's configuration cannot be read, or timm knows no such model.
    """
    import timm

    name = str(folder_config(spec).get("architecture", spec.model))
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        from vlmsel.suggest import nearest

        hint = nearest(architecture, timm.list_models())
        raise ModelError(f"{spec.name}: timm knows no architecture '{architecture}'{hint}")
    if spec.weights is not None:
        return architecture
    tags = {tag.partition(".")[2] for tag in timm.list_pretrained(f"{architecture}.*")}
    if spec.pretrained not in tags:
        known = ", ".join(sorted(tags)) or "none"
        raise ModelError(
            f"{spec.name}: '{architecture}' has no such tag in timm; its tags: {known}"
        )
    return f"{architecture}.{spec.pretrained}"


def folder_config(spec: ModelSpec) -> dict[str, Any]:
    """The configuration of a folder that timm saved; empty for a file, or without weights.

    Raises:
        ModelError: it cannot be read.
    """
    path = Path(spec.weights or "") / MODEL_CONFIG
    if spec.weights is None or not path.is_file():
        return {}
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{spec.name}: {path} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise ModelError(f"{spec.name}: {path} must be a mapping")
    return document


def describe_tower(spec: ModelSpec) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Architecture, preprocessing and checksum of the weights of a tower.

    Raises:
        ModelError: no such model, or weights that are not here and cannot be asked for.
    """
    import timm

    name = timm_name(spec)
    described: dict[str, Any] = {"provider": "timm", "model": name}
    stored = folder_config(spec).get("pretrained_cfg") or {}
    arguments = folder_config(spec).get("model_args") or {}
    if arguments:
        described["arguments"] = arguments
    if spec.weights is not None:
        checksum = local_sha256(spec, local_weights(spec))
        preprocessing = {key: stored[key] for key in PREPROCESSING if key in stored}
        return described, {"provider": "timm", "model": name, **preprocessing}, checksum
    tag: Any = timm.get_pretrained_cfg(name)
    if tag is None or not tag.hf_hub_id:
        raise ModelError(f"{spec.name}: timm names no repository of its weights: give `weights`")
    checksum = hub_sha256(spec, {"hf_hub": f"{tag.hf_hub_id}/model.safetensors"})
    return described, {"provider": "timm", "model": name}, checksum
