"""Load one vision-language model: encoder, text encoder and transform, ready to be attributed."""

from dataclasses import replace

import torch

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import identify
from vlmsel.zoo.loaded_model import ImageEncoder, LoadedModel, freeze
from vlmsel.zoo.providers import open_provider
from vlmsel.zoo.providers.folders import provider_name
from vlmsel.zoo.towers import build_visual, input_size
from vlmsel.zoo.variants import silence_for_good


def load_model(spec: ModelSpec, *, device: str = "cpu") -> LoadedModel:
    """Load a model strictly: every weight is there, fits, and is read without running code.

    Args:
        spec: open_clip name and tag, local directory or checkpoint file, a folder or repository of
            transformers, a model of timm, or a registered encoder.
        device: torch device.

    Raises:
        ModelError: unknown name, wrong activation, weights that cannot be had or do not fit, or no
            such device.
    """
    if spec.silenced is not None:
        # The same model, whose one layer stays silent for good.
        base = load_model(spec.base, device=device)
        silence_for_good(base, spec.silenced)
        return replace(base, spec=spec, identity=identify(spec))
    where = _device(device)
    identity = identify(spec)
    return open_provider(spec, provider_name(spec)).load(spec, identity, where)


def load_untrained(
    model: str, *, image_size: int | None = None, device: str = "cpu"
) -> LoadedModel:
    """A visual tower with random weights (torch's global seed), for tests and benchmarks; offline.

    Raises:
        ModelError: unknown architecture, with the nearest names.
    """
    from vlmsel.zoo.providers.open_clip import open_clip_transform

    visual = freeze(build_visual(model, image_size=image_size), _device(device))
    size = input_size(visual)
    transform = open_clip_transform({"size": size})
    spec = ModelSpec(model=model, pretrained="untrained")
    return LoadedModel(spec, None, visual, size, ImageEncoder(visual), None, transform)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"unknown device '{name}'; known: cpu, cuda, cuda:0, mps") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device '{name}' is not available: torch sees no CUDA here; use cpu")
    return device
