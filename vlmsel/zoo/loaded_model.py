"""Loaded model: encoder, text encoder and transform, and what of it can be used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.choices import ChoiceModel
from vlmsel.zoo.encoders import Transform
from vlmsel.zoo.identity import ModelIdentity


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


def freeze(module: nn.Module, device: torch.device) -> nn.Module:
    """A module on its device in eval mode, fp32, without parameter gradients."""
    return module.to(device=device, dtype=torch.float32).eval().requires_grad_(False)
