"""Made-up models whose embeddings a test chooses."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import to_tensor

from tests.attribution.conftest import Tiny, frozen
from tests.execution.builders import sha, spec
from vlmsel.probes.batch import Batch
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.zoo.loaded_model import LoadedModel


def made_up_model(
    encode_image: Callable[[Tensor], Tensor] | None = None,
    classes: Tensor | None = None,
    *,
    scale: float = 1.0,
    bias: float = 0.0,
) -> LoadedModel:
    """A model that embeds the class named "3" as `classes[3]`; without classes it has no text."""

    def encode_text(texts: Sequence[str]) -> Tensor:
        assert classes is not None
        return classes[[int(text) for text in texts]]

    def transform(image: Image.Image) -> Tensor:
        return to_tensor(image)

    return LoadedModel(
        spec=spec("made-up"),
        identity=None,
        visual=nn.Identity(),
        image_size=(8, 8),
        encode_image=encode_image or (lambda images: images.flatten(1)),
        encode_text=None if classes is None else encode_text,
        transform=transform,
        logit_scale=scale,
        logit_bias=bias,
    )


def pooled_model() -> LoadedModel:
    """A model whose three blocks read large pictures at 4 x 4 pixels, so that a pass is cheap."""
    torch.manual_seed(0)
    net = frozen(nn.Sequential(nn.AdaptiveAvgPool2d(4), Tiny(width=4)))
    return replace(made_up_model(net), visual=net, image_size=(224, 224))


def embedded(embedding: Tensor, classes: Tensor, *, scale: float = 1.0, bias: float = 0.0) -> Batch:
    """A batch of distinct images with these embeddings, of a task with these classes."""
    names = tuple(str(number) for number in range(len(classes)))
    return Batch(
        made_up_model(classes=classes, scale=scale, bias=bias),
        pictures(range(len(embedding))),
        [sha(str(number)) for number in range(len(embedding))],
        prompts=ClassPrompts(names, ("{}",)),
        embedding=embedding,
    )


def pictures(values: Iterable[float]) -> Tensor:
    """One picture of one colour per value, (N, 3, 2, 2)."""
    return torch.tensor([float(value) for value in values])[:, None, None, None].expand(-1, 3, 2, 2)


def random_unit(n_rows: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(n_rows, width, generator=generator), dim=-1)
