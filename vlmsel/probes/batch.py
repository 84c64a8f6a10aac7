"""A batch of images with one forward pass that all probes share."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import torch
from PIL import Image
from torch import Tensor, nn

from vlmsel.attribution.model_attribution import ieee_float32
from vlmsel.errors import ModelError
from vlmsel.measurements.embedding import EVERY_BLOCK
from vlmsel.probes.class_embeddings import check_classes, class_embeddings
from vlmsel.tasks.prompts import ClassPrompts, TaskPrompts
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.hooks import hooked
from vlmsel.zoo.loaded_model import LoadedModel

# Images of 224 x 224 in one forward pass without gradients, more of smaller ones.
FORWARD_IMAGES = 32
PIXELS = 224 * 224


@dataclass
class ClassTexts:
    """Class embeddings of one model by prompts: every task's prompts are encoded once."""

    _known: dict[str, Tensor] = field(default_factory=dict)

    def of(self, model: LoadedModel, prompts: ClassPrompts) -> Tensor:
        """(classes, D), L2-normalised.

        Raises:
            ModelError: the model encodes no text, or cannot tell two classes apart.
        """
        if model.encode_text is None:
            raise ModelError(f"{model.spec.name} encodes no text")
        if prompts.digest not in self._known:
            with torch.no_grad(), ieee_float32():
                classes = class_embeddings(model.encode_text, prompts)
            check_classes(model.spec.name, classes, prompts.classnames)
            self._known[prompts.digest] = classes
        return self._known[prompts.digest]


class Batch:
    """Preprocessed images of one shard, and what a model makes of them in one forward pass.

    Args:
        model: in eval mode.
        images: (N, 3, H, W) on the CPU, or None where `embedding` is given, or where the model
            reads pictures at several sizes.
        sha256s: of the N images' contents.
        prompts: class names and templates of the task, where it has some; or the N questions.
        texts: class embeddings known so far.
        layers: names of the blocks whose outputs are kept; `every-block` for all.
        embedding: (N, D), from an earlier forward pass.
        max_memory_gb: bound on an attribution's memory.

    Attributes:
        pictures: the N images as they were decoded, where questions are asked about them.
    """

    def __init__(
        self,
        model: LoadedModel,
        images: Tensor | None,
        sha256s: Sequence[str],
        *,
        prompts: TaskPrompts | None = None,
        texts: ClassTexts | None = None,
        layers: Sequence[str] = (),
        embedding: Tensor | None = None,
        max_memory_gb: float | None = None,
    ) -> None:
        self.pictures: tuple[Image.Image, ...] = ()
        self.model = model
        self.sha256s = tuple(sha256s)
        self.prompts = prompts
        self.max_memory_gb = max_memory_gb
        self._images = images
        self._texts = texts or ClassTexts()
        self._layers = tuple(layers)
        self._stored = embedding
        self._kept: dict[str, list[Tensor]] = {}

    def __len__(self) -> int:
        return len(self.sha256s)

    def has_distinct(self, among: Tensor) -> bool:
        """Return whether two images differ as the model sees them, so that their embeddings must.

        Files may differ and show one picture. Stored embeddings passed this when they were stored.

        Args:
            among: (N,) which images count.
        """
        if self._images is None:
            return False
        images = self._images[among.to(self._images.device)]
        return bool((images != images[:1]).any())

    @property
    def images(self) -> Tensor:
        """(N, 3, H, W) on the CPU.

        Raises:
            ModelError: the batch was made from stored embeddings.
        """
        if self._images is None:
            what = "images of one size" if self._stored is None else "images: it has embeddings"
            raise ModelError(f"{self.model.spec.name}: this batch holds no {what}")
        return self._images

    @cached_property
    def device(self) -> torch.device:
        """Device of the model."""
        visual = self.model.visual
        resident = chain(visual.parameters(), visual.buffers())
        return next((tensor.device for tensor in resident), torch.device("cpu"))

    @cached_property
    def embedding(self) -> Tensor:
        """(N, D) before normalisation, float32, on the model's device."""
        if self._stored is not None:
            return self._stored.to(self.device)
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(ieee_float32())
            if self._layers:
                blocks = _blocks(self.model)
                # A block that is not there is the trouble of who asks for it, not of the others.
                names = sorted(blocks.keys() & set(self._layers))
                if EVERY_BLOCK in self._layers:
                    names = list(blocks)
                stack.enter_context(hooked((blocks[name], self._keeper(name)) for name in names))
            pixels = self.images.shape[-2] * self.images.shape[-1]
            parts = self.images.split(max(1, FORWARD_IMAGES * PIXELS // pixels))
            return torch.cat([self.model.encode_image(p.to(self.device)).float() for p in parts])

    @property
    def block_names(self) -> tuple[str, ...]:
        """Names of all blocks, in forward order.

        Raises:
            ModelError: the model has none.
        """
        return tuple(name for name, _ in functional_blocks(self.model.visual))

    def layer(self, name: str) -> Tensor:
        """A block's output on the batch, as the block gives it.

        Raises:
            ModelError: the model has no such block, or it gives no tensor.
        """
        _ = self.embedding
        if name not in self._kept:
            names = ", ".join(_blocks(self.model))
            raise ModelError(
                f"{self.model.spec.name} has no block {name!r} that gives a tensor: its blocks are "
                f"{names}"
            )
        return torch.cat(self._kept[name])

    @cached_property
    def class_embeddings(self) -> Tensor:
        """(classes, D), L2-normalised.

        Raises:
            ModelError: the task has no class names, or the model encodes no text.
        """
        if self.prompts is None:
            raise ModelError("the task has no class names: add `classnames` to its catalog")
        if isinstance(self.prompts, TaskQuestions):
            raise ModelError("the task has questions and no class names to embed")
        return self._texts.of(self.model, self.prompts)

    def _keeper(self, name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _args: object, _kwargs: object, output: object) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, Tensor):
                self._kept.setdefault(name, []).append(tensor)

        return keep


class TextBatch(Batch):
    """Texts of one shard, in place of images.

    Args:
        model: in eval mode.
        words: the N texts.
        sha256s: of the N texts.
    """

    def __init__(self, model: LoadedModel, words: Sequence[str], sha256s: Sequence[str]) -> None:
        super().__init__(model, None, sha256s)
        self.words = tuple(words)


def _blocks(model: LoadedModel) -> dict[str, nn.Module]:
    """Blocks by name; none where the encoder has none."""
    try:
        return dict(functional_blocks(model.visual))
    except ModelError:
        return {}
