"""Load one vision-language model: encoder, text encoder and transform, ready to be attributed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from open_clip import create_model, download_pretrained
from open_clip.factory import load_checkpoint
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from vlmsel.errors import ModelError
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.checkpoint import CHECKPOINT_ERRORS, check_shapes, misfit, read_shapes
from vlmsel.zoo.encoders import Transform, build_encoder
from vlmsel.zoo.folder_rules import check_preprocessing
from vlmsel.zoo.identity import ModelIdentity, configuration, identify
from vlmsel.zoo.preprocessing import BoundedTransform, ResizeMode
from vlmsel.zoo.quiet import quiet_open_clip
from vlmsel.zoo.registry import Config, tag_config
from vlmsel.zoo.text import TextEncoder
from vlmsel.zoo.towers import as_pair, build_visual, input_size
from vlmsel.zoo.variants import silence_for_good
from vlmsel.zoo.weights import local_weights


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode, fp32, without parameter gradients.

    Attributes:
        spec: what was asked for.
        identity: what it is, the model's part of a cell's fingerprint; None for untrained weights.
        visual: the visual tower, on which blocks are found and hooked.
        image_size: height and width of its input in pixels.
        encode_image: (B, 3, H, W) -> (B, D), the embedding before normalisation.
        encode_text: strings -> (N, D), L2-normalised, no gradient; None without a text tower.
        transform: RGB image -> (3, H, W).
        logit_scale: the model's own temperature, factor of a cosine in its logits.
        logit_bias: added to its logits (SigLIP); 0 where it has none.
        text_tower: the module that holds the text tower; None without one.
    """

    spec: ModelSpec
    identity: ModelIdentity | None
    visual: nn.Module
    image_size: tuple[int, int]
    encode_image: Callable[[Tensor], Tensor]
    encode_text: Callable[[Sequence[str]], Tensor] | None
    transform: Transform
    logit_scale: float = 1.0
    logit_bias: float = 0.0
    text_tower: nn.Module | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can be asked for."""
        found = {Capability.image_embedding, Capability.blocks}
        return frozenset(found | ({Capability.text_embedding} if self.encode_text else set()))


class ImageEncoder:
    """The un-normalised embedding of a visual tower.

    The tower is called itself, not `model.encode_image`: CoCa's normalises by default, which would
    make every attribution zero. CoCa's tower also returns its tokens; the embedding comes first.
    """

    def __init__(self, visual: nn.Module) -> None:
        self._visual = visual

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D)."""
        out = self._visual(images)
        return out[0] if isinstance(out, tuple) else out


def load_model(spec: ModelSpec, *, device: str = "cpu") -> LoadedModel:
    """Load a model strictly: every weight is there, fits, and is read without running code.

    Args:
        spec: open_clip name and tag, local directory or checkpoint file, or registered encoder.
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
    tower: nn.Module | None = None
    if spec.encoder is not None:
        built = build_encoder(spec)
        visual = _frozen(built.module, where)
        size, transform, text = as_pair(built.image_size), built.transform, None
        scale, bias = 1.0, 0.0
    else:
        model, transform = _open_clip_model(spec)
        tower = _frozen(model, where)
        visual, text = model.visual, TextEncoder(spec, model, where)
        size = input_size(visual)
        scale, bias = _temperature(model)
    encode = ImageEncoder(visual)
    return LoadedModel(spec, identity, visual, size, encode, text, transform, scale, bias, tower)


def _temperature(model: Any) -> tuple[float, float]:
    """Scale and bias of an open_clip model's logits; its scale is kept as a logarithm."""
    scale, bias = getattr(model, "logit_scale", None), getattr(model, "logit_bias", None)
    return (
        1.0 if scale is None else float(scale.exp()),
        0.0 if bias is None else float(bias),
    )


def load_untrained(
    model: str, *, image_size: int | None = None, device: str = "cpu"
) -> LoadedModel:
    """A visual tower with random weights (torch's global seed), for tests and benchmarks; offline.

    Raises:
        ModelError: unknown architecture, with the nearest names.
    """
    visual = _frozen(build_visual(model, image_size=image_size), _device(device))
    size = input_size(visual)
    transform = _transform({"size": size})
    spec = ModelSpec(model=model, pretrained="untrained")
    return LoadedModel(spec, None, visual, size, ImageEncoder(visual), None, transform)


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
            raise ModelError(f"{spec.name}: cannot be built: {_first_line(error)}") from error
        _load_weights(spec, model, path)
    return model, _transform({**preprocess, "size": input_size(model.visual)})


def _transform(preprocess: Config) -> Transform:
    config = PreprocessCfg(**preprocess)
    transform = cast(Transform, image_transform_v2(config, is_train=False))
    return BoundedTransform(transform, as_pair(config.size), cast(ResizeMode, config.resize_mode))


def _checkpoint(spec: ModelSpec) -> Path:
    if spec.weights is not None:
        return local_weights(spec)
    tag: Config = tag_config(spec.model, spec.pretrained)
    try:
        return Path(download_pretrained(tag))
    except (OSError, RuntimeError, ValueError) as error:
        reason = _first_line(error)
        msg = f"{spec.name}: no download of its weights: {reason}; set `weights` to a local copy"
        raise ModelError(msg) from error


def _load_weights(spec: ModelSpec, model: Any, path: Path) -> None:
    shapes = read_shapes(spec.name, path)
    check_shapes(spec.name, path, shapes, model)
    try:
        load_checkpoint(model, str(path), strict=True, weights_only=True)
    except CHECKPOINT_ERRORS as error:
        raise ModelError(misfit(spec, path, error)) from error


def _frozen(module: nn.Module, device: torch.device) -> nn.Module:
    return module.to(device=device, dtype=torch.float32).eval().requires_grad_(False)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"unknown device '{name}'; known: cpu, cuda, cuda:0, mps") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device '{name}' is not available: torch sees no CUDA here; use cpu")
    return device


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
