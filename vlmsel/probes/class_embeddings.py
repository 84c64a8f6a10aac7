"""Class names in embedding space: the text side of zero-shot classification."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlmsel.errors import ModelError
from vlmsel.tasks.prompts import ClassPrompts

# Prompts encoded at once; ImageNet has 1000 classes x 80 templates.
TEXT_BATCH = 512


def class_embeddings(
    encode_text: Callable[[Sequence[str]], Tensor], prompts: ClassPrompts
) -> Tensor:
    """Embed every class.

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


def check_classes(name: str, classes: Tensor, classnames: Sequence[str]) -> None:
    """Refuse class embeddings that cannot tell classes apart.

    Args:
        name: of the model.
        classes: (C, D).
        classnames: of the C classes.

    Raises:
        ModelError: an embedding is not finite, or two classes have the same one.
    """
    if not torch.isfinite(classes).all():
        raise ModelError(f"{name}: its embedding of a class name is not finite")
    _, places, counts = torch.unique(classes, dim=0, return_inverse=True, return_counts=True)
    if int(counts.max()) > 1:
        twin = int(counts.argmax())
        first, second = (places == twin).nonzero().flatten().tolist()[:2]
        raise ModelError(
            f"{name}: classes '{classnames[first][:80]}' and '{classnames[second][:80]}' have one "
            "embedding (is a name empty, given twice, or cut by the tokenizer's length?)"
        )
