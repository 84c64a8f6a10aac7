"""Zero-shot accuracy of a demo model on the demo tasks."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from vlmsel.demo.families import DemoTask, Split, draw

if TYPE_CHECKING:
    from open_clip import CLIP
from vlmsel.demo.recipes import MEAN, STD

Tokenizer = Callable[[list[str]], torch.Tensor]


def stack(images: Iterable[Image.Image]) -> torch.Tensor:
    """Returns 32x32 pictures as bytes, images x 3 x 32 x 32."""
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """Returns bytes as the models' input; the same as open_clip's transform for 32x32 pictures."""
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (pixels.float() / 255 - mean) / std


def classifier(model: "CLIP", tokenizer: Tokenizer, task: DemoTask) -> torch.Tensor:
    """Returns one unit text vector per class, classes x width, averaged over the templates."""
    vectors = []
    for classname in task.classnames:
        captions = [template.format(classname) for template in task.templates]
        encoded = model.encode_text(tokenizer(captions), normalize=True).mean(dim=0)
        vectors.append(encoded / encoded.norm())
    return torch.stack(vectors)


@torch.inference_mode()
def accuracy(
    model: "CLIP", tokenizer: Tokenizer, task: DemoTask, *, split: Split, n: int, seed: int
) -> float:
    """Returns the share of n pictures whose nearest class text is the right one."""
    images, labels = draw(task, split=split, n=n, seed=seed)
    vectors = model.eval().encode_image(normalise(stack(images)))
    predicted = (vectors @ classifier(model, tokenizer, task).T).argmax(dim=1)
    return float((predicted == torch.tensor(labels)).float().mean())
