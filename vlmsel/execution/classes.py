"""Class names in embedding space: the text side of zero-shot classification."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlmsel.tasks.prompts import ClassPrompts

# Prompts encoded at once; ImageNet has 1000 classes x 80 templates.
TEXT_BATCH = 512


def class_embeddings(
    encode_text: Callable[[Sequence[str]], Tensor], prompts: ClassPrompts
) -> Tensor:
    """One embedding a class.

    The normalised mean of its normalised prompt embeddings (Radford et al. 2021, section 3.1.4).

    Args:
        encode_text: texts -> (N, D), L2-normalised.
        prompts: class names and templates.

    Returns:
        (classes, D), L2-normalised.
    """
    texts = [text for name in prompts.classnames for text in prompts.texts(name)]
    parts = [encode_text(texts[i : i + TEXT_BATCH]) for i in range(0, len(texts), TEXT_BATCH)]
    by_class = torch.cat(parts).unflatten(0, (len(prompts.classnames), len(prompts.templates)))
    return normalize(by_class.mean(dim=1), dim=-1)
