"""The scalar F_M(x) of an image embedding whose flow through the blocks is attributed."""

from collections.abc import Callable

import torch
import torch.nn.functional as nnf
from torch import Tensor

from vlmsel.errors import AttributionError

ImageEncoder = Callable[[Tensor], Tensor]


def l2(embedding: Tensor) -> Tensor:
    """F = ||f||_2 of the embedding before normalisation; (B, D) -> (B,)."""
    return embedding.norm(dim=1)


def entropy(embedding: Tensor) -> Tensor:
    """F = -sum_j p_j log p_j with p = softmax(f), in nats; (B, D) -> (B,)."""
    log_p = embedding.log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)


def variance(embedding: Tensor) -> Tensor:
    """F = 1/D sum_j (f_j - mean f)^2, over the embedding's entries; (B, D) -> (B,)."""
    return embedding.var(dim=1, correction=0)


def alignment(embedding: Tensor, text: Tensor) -> Tensor:
    """F = max_c cos(f, t_c), how well the nearest class name fits; (B, D), (C, D) -> (B,)."""
    return _cosines(embedding, text).amax(dim=1)


def _cosines(embedding: Tensor, text: Tensor) -> Tensor:
    return nnf.normalize(embedding, dim=1) @ nnf.normalize(text, dim=1).T


OF_EMBEDDING: dict[str, Callable[[Tensor], Tensor]] = {
    "l2": l2,
    "entropy": entropy,
    "variance": variance,
}
OF_TEXT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"alignment": alignment}


def make_objective(
    name: str, encode_image: ImageEncoder, *, text: Tensor | None = None, precision: str = "fp32"
) -> Callable[[Tensor], Tensor]:
    """F from images (B, 3, H, W) to (B,) numbers.

    Args:
        name: a key of OF_EMBEDDING or OF_TEXT.
        encode_image: images to embeddings (B, D), not normalised.
        text: class name embeddings (C, D) for the objectives that need them.
        precision: `bf16` runs the encoder under autocast; F itself is always taken in float32.

    Raises:
        AttributionError: an unknown name, or an objective of text without text.
    """
    score = _score(name, text)

    def objective(images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            embedding = encode_image(images)
        if embedding.ndim != 2:
            raise AttributionError(
                f"the encoder gives shape {tuple(embedding.shape)}: an embedding is (images, D)"
            )
        return score(embedding.to(torch.promote_types(embedding.dtype, torch.float32)))

    return objective


def _score(name: str, text: Tensor | None) -> Callable[[Tensor], Tensor]:
    if name in OF_EMBEDDING:
        return OF_EMBEDDING[name]
    if name not in OF_TEXT:
        known = ", ".join((*OF_EMBEDDING, *OF_TEXT))
        raise AttributionError(f"no objective {name!r}: known are {known}")
    if text is None or len(text) == 0:
        raise AttributionError(
            f"objective {name} needs class names: give the task class names, or use l2"
        )
    return lambda embedding: OF_TEXT[name](embedding, text.to(embedding))
