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
    encode_text: Callable[[Sequence[str]], Tensor],
    prompts: ClassPrompts,
    *,
    text_batch: int = TEXT_BATCH,
) -> Tensor:
    """Embed every class.

    The normalised mean of its normalised prompt embeddings (Radford et al. 2021, section 3.1.4).

    Args:
        encode_text: texts -> (N, D), L2-normalised.
        prompts: class names and templates.
        text_batch: prompts that are encoded at once.

    Returns:
        (classes, D), L2-normalised.
    """
    texts = [text for name in prompts.classnames for text in prompts.texts(name)]
    parts = [encode_text(texts[i : i + text_batch]) for i in range(0, len(texts), text_batch)]
    return average_prompts(torch.cat(parts), prompts)


def average_prompts(embeddings: Tensor, prompts: ClassPrompts) -> Tensor:
    """Class embeddings from those of the prompts, class by class in order.

    Args:
        embeddings: (classes * templates, D), L2-normalised.
        prompts: whose texts they are.

    Returns:
        (classes, D), L2-normalised.
    """
    by_class = embeddings.unflatten(0, (len(prompts.classnames), len(prompts.templates)))
    return normalize(by_class.mean(dim=1), dim=-1)


def check_classes(name: str, classes: Tensor, classnames: Sequence[str]) -> None:
    """Refuse class embeddings that cannot tell classes apart.

    Args:
        name: of the model.
        classes: (C, D).
        classnames: of the C classes.

    Raises:
        ModelError: an embedding is not finite, two different names have one, or a name is empty.
    """
    if not torch.isfinite(classes).all():
        raise ModelError(f"{name}: its embedding of a class name is not finite")
    if any(not name.strip() for name in classnames):
        raise ModelError(
            f"{name}: class {list(map(str.strip, classnames)).index('')} has an empty name"
        )
    _, places = torch.unique(classes, dim=0, return_inverse=True)
    first_of: dict[int, str] = {}
    for place, classname in zip(places.tolist(), classnames, strict=True):
        # A list may name a class twice (ImageNet's does): that is the list's affair.
        other = first_of.setdefault(place, classname)
        if other != classname:
            raise ModelError(
                f"{name}: classes '{other[:80]}' and '{classname[:80]}' have the same "
                "embedding (are they cut to the same text by the tokenizer's length?)"
            )
    if len(first_of) == 1 and len(classnames) > 1:
        raise ModelError(f"{name}: all {len(classnames)} classes have one name")
