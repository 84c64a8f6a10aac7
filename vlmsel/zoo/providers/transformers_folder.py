"""Folders of transformers: checked, identified and found without importing transformers."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from vlmsel.documents import read_json
from vlmsel.errors import ModelError, first_line
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.folder_rules import MODEL_CONFIG, check_transformers, tokenizer_files
from vlmsel.zoo.weights import SHA256, local_sha256

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
# Of a repository: everything but other formats of the weights.
SMALL_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]
# Notes of whoever saved the folder, and what loading sets anew.
NOTES = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "_commit_hash")
PLAIN_NAME = re.compile(r"[\w.-]+\.safetensors")
# Names other weights than those that are identified.
OTHER_WEIGHTS = "transformers_weights"


def model_folder(spec: ModelSpec, *, with_weights: bool) -> Path:
    """The folder of a model: its `weights`, or what the hub has of it in this machine's cache.

    Args:
        spec: the model; without `weights`, `model` is a repository and `pretrained` its revision.
        with_weights: also the weights, which are large.

    Raises:
        ModelError: no such folder, or the hub cannot give it.
    """
    if spec.weights is not None:
        folder = Path(spec.weights)
        if not folder.is_dir():
            raise ModelError(f"{spec.name}: weights {folder} are no folder of transformers")
        return folder
    patterns = [*SMALL_FILES, *(["*.safetensors"] if with_weights else [])]
    try:
        found = huggingface_hub.snapshot_download(
            spec.model, revision=spec.pretrained, allow_patterns=patterns
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = first_line(error)
        raise ModelError(
            f"{spec.name}: no download from the hub: {reason}; `hf download {spec.model} "
            "--local-dir FOLDER` where there is a network, then `weights: FOLDER`"
        ) from error
    return Path(found)


def read_config(spec: ModelSpec, folder: Path) -> dict[str, Any]:
    """The configuration of a checked folder.

    Raises:
        ModelError: a file in it asks for code or for another repository, or cannot be read.
    """
    check_transformers(spec.name, folder)
    path = folder / MODEL_CONFIG
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise ModelError(f"{spec.name}: no {MODEL_CONFIG} in {folder}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{spec.name}: {path} cannot be read: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("model_type"), str):
        raise ModelError(f"{spec.name}: {path} names no model_type of transformers")
    if document.get(OTHER_WEIGHTS) is not None:
        raise ModelError(
            f"{spec.name}: {path} has the key '{OTHER_WEIGHTS}': call the file {WEIGHTS} and "
            "remove the key"
        )
    return document


def weight_files(spec: ModelSpec, folder: Path) -> tuple[str, ...]:
    """Names of the safetensors files that hold the weights.

    Raises:
        ModelError: there are weights in one file and in shards, of which transformers would take
            the one file, or the index of shards says something impossible.
    """
    if (folder / WEIGHTS_INDEX).is_file():
        if (folder / WEIGHTS).is_file():
            raise ModelError(
                f"{spec.name}: {folder} holds {WEIGHTS} and {WEIGHTS_INDEX}: remove the one that "
                "is not meant"
            )
        try:
            names = set(read_json(folder / WEIGHTS_INDEX)["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            path = folder / WEIGHTS_INDEX
            raise ModelError(f"{spec.name}: {path} cannot be read: {error}") from None
        wrong = [name for name in names if not PLAIN_NAME.fullmatch(str(name))]
        if wrong or not names:
            raise ModelError(f"{spec.name}: {folder / WEIGHTS_INDEX} names the file {wrong[:1]}")
        return tuple(sorted(names))
    return (WEIGHTS,)


def describe_folder(spec: ModelSpec) -> tuple[dict[str, Any], dict[str, str], str]:
    """All of a model of transformers that can change its values.

    Returns:
        Its configuration with the checksums of its tokenizer's files, the checksums of its
        processor's files, and that of its weights.

    Raises:
        ModelError: a part is missing, or the folder may not be read.
    """
    folder = model_folder(spec, with_weights=False)
    config = read_config(spec, folder)
    processors = {
        name: local_sha256(spec, folder / name) for name in PROCESSORS if (folder / name).is_file()
    }
    if not processors:
        raise ModelError(
            f"{spec.name}: no image processor in {folder} ({' or '.join(PROCESSORS)}): save it "
            "there with its save_pretrained"
        )
    tokenizer = {
        file.name: local_sha256(spec, file)
        for file in tokenizer_files(folder)
        if file.name not in (*PROCESSORS, MODEL_CONFIG)
    }
    kept = {key: value for key, value in config.items() if key not in NOTES}
    described = {"provider": "transformers", "model": kept, "tokenizer": tokenizer}
    return described, processors, _weights_sha256(spec, folder)


def activation(config: dict[str, Any]) -> str:
    """The activation of the visual tower."""
    vision = config.get("vision_config")
    found = vision.get("hidden_act") if isinstance(vision, dict) else None
    return str(found or "as configured")


def vision_sizes(spec: ModelSpec) -> dict[str, Any]:
    """The visual tower in open_clip's words (layers, width, patch_size, image_size), as far known.

    Raises:
        ModelError: the folder may not be read.
    """
    vision = read_config(spec, model_folder(spec, with_weights=False)).get("vision_config")
    words = {
        "num_hidden_layers": "layers",
        "hidden_size": "width",
        "patch_size": "patch_size",
        "image_size": "image_size",
    }
    if not isinstance(vision, dict):
        return {}
    return {ours: vision[key] for key, ours in words.items() if isinstance(vision.get(key), int)}


def _weights_sha256(spec: ModelSpec, folder: Path) -> str:
    """One checksum over all files of the weights."""
    names = weight_files(spec, folder)
    sums = [_sha256(spec, folder, name) for name in names]
    if len(sums) == 1:
        return sums[0]
    text = json.dumps(list(zip(names, sums, strict=True)))
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(spec: ModelSpec, folder: Path, name: str) -> str:
    path = folder / name
    if path.is_file():
        # In the hub's cache a large file's own name is its checksum.
        blob = path.resolve().name
        in_cache = spec.weights is None and SHA256.fullmatch(blob)
        return blob if in_cache else local_sha256(spec, path)
    if spec.weights is not None:
        raise ModelError(
            f"{spec.name}: no {name} in {folder}: only safetensors are read; save the model there "
            "with its save_pretrained"
        )
    url = huggingface_hub.hf_hub_url(spec.model, name, revision=spec.pretrained)
    try:
        etag = huggingface_hub.get_hf_file_metadata(url).etag
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = first_line(error)
        raise ModelError(f"{spec.name}: the hub does not tell its weights: {reason}") from error
    if etag is None or not SHA256.fullmatch(etag):
        raise ModelError(f"{spec.name}: the hub has no checksum of {name}")
    return etag
