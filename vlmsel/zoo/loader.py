"""Load one vision-language model: encoder, text encoder and transform, ready to be attributed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vlmsel.errors import ModelError
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.choices import ChoiceModel
from vlmsel.zoo.encoders import Transform
from vlmsel.zoo.identity import ModelIdentity, identify
from vlmsel.zoo.providers import open_provider
from vlmsel.zoo.providers.folders import provider_name
from vlmsel.zoo.towers import build_visual, input_size
from vlmsel.zoo.variants import silence_for_good


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
        score_choices: scores options of questions about pictures; None but for generative models.
        embeds_images: False where pictures have no embedding of one size.
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
    score_choices: ChoiceModel | None = None
    embeds_images: bool = True

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Capabilities that it has."""
        can = {
            Capability.image_embedding: self.embeds_images,
            Capability.text_embedding: self.encode_text is not None,
            Capability.choice_scores: self.score_choices is not None,
            Capability.blocks: True,
        }
        return frozenset(capability for capability, has in can.items() if has)


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


def freeze(module: nn.Module, device: torch.device) -> nn.Module:
    """A module on its device in eval mode, fp32, without parameter gradients."""
    return module.to(device=device, dtype=torch.float32).eval().requires_grad_(False)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"unknown device '{name}'; known: cpu, cuda, cuda:0, mps") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device '{name}' is not available: torch sees no CUDA here; use cpu")
    return device
