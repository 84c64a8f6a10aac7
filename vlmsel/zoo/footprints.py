"""Footprints of models: what is still to be downloaded, and the memory of the weights in fp32."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.open_clip_tables import tag_config
from vlmsel.zoo.providers.folders import provider_name
from vlmsel.zoo.weights import hub_files, local_weights

FP32_BYTES = 4
LONGEST_HEADER = 100 * 2**20


@dataclass(frozen=True)
class Footprint:
    """Memory and download of one model; None where it cannot be known.

    Attributes:
        download: bytes to be fetched from a hub; 0 where the weights are here.
        memory: bytes of all its parameters in fp32; activations come on top.
    """

    download: int | None
    memory: int | None


def footprint(spec: ModelSpec) -> Footprint:
    """The footprint of a model; asks the hub for the size of weights that are not here."""
    spec = spec.base
    if spec.weights is not None:
        return Footprint(0, _parameters(spec))
    if spec.encoder is not None:
        return Footprint(0, None)
    try:
        repository, names, revision = _hub_place(spec)
    except ModelError:
        return Footprint(None, None)
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(cached, str):
            return Footprint(0, _bytes_of_file(Path(cached)))
    for name in names:
        try:
            url = huggingface_hub.hf_hub_url(repository, name, revision=revision)
            size = huggingface_hub.get_hf_file_metadata(url).size
        except (OSError, ValueError, HfHubHTTPError):
            continue
        # As they are stored: of fp16 it is half of what they take.
        return Footprint(size, size)
    return Footprint(None, None)


def _hub_place(spec: ModelSpec) -> tuple[str, tuple[str, ...], str | None]:
    provider = provider_name(spec)
    if provider == "transformers":
        return spec.model, ("model.safetensors",), spec.pretrained
    if provider == "timm":
        raise ModelError(f"{spec.name}: its size is not asked for")
    repository, names = hub_files(tag_config(spec.model, spec.pretrained))
    return repository, names, None


def _parameters(spec: ModelSpec) -> int | None:
    folder = Path(spec.weights or "")
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    try:
        sizes = [_bytes_of_file(path) for path in files or [local_weights(spec)]]
    except ModelError:
        return None
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _bytes_of_file(path: Path) -> int | None:
    """Bytes of a checkpoint's parameters in fp32, by its header; of other formats its size."""
    try:
        if path.suffix != ".safetensors":
            return path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= LONGEST_HEADER else {}
        tensors = [found["shape"] for name, found in header.items() if name != "__metadata__"]
        return FP32_BYTES * sum(math.prod(shape) for shape in tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
