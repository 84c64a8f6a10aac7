"""Scores of an image against a text, through the visual tower, the text tower, or both.

    F(x, e) = cos(f(x), t(e))

with f(x) the image embedding and t(e) the text embedding of token embeddings e. What moves along
the path is the image (tower `vision`, the text stays), the tokens' embeddings (`text`, the image
stays) or both at once. The text starts as an empty prompt: at every position the embedding of the
token that an empty text has there; positions, masks and the position that is read stay those of
the prompt.

Both inputs lie side by side in one row per image, [image | text | class], so that all that is known
of paths, rules and blocks holds for them as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from vlmsel.attribution.path import baseline_images
from vlmsel.attribution.recorder import Blocks, Parts
from vlmsel.attribution.subject import ImageModel, Subject, resident_tensors
from vlmsel.errors import AttributionError
from vlmsel.settings import AttributionSettings, Tower
from vlmsel.zoo.blocks import NOT_TEXT, read_blocks, text_blocks
from vlmsel.zoo.hooks import hooked

# Prompts that are run at every step of every image; ImageNet with 80 templates has 80,000.
MOST_TEXTS = 512
# Names of text blocks, which may be those of the visual tower.
TEXT_PREFIX = "text."


class TextSteps(Protocol):
    """A text encoder in two steps, the second with gradients."""

    def tokenize(self, texts: Sequence[str]) -> Any:
        """(N, L) token ids, or a mapping of such tensors."""
        ...

    def encode(self, tokens: Any) -> Tensor:
        """(N, D), L2-normalised."""
        ...


class Prompts:
    """Prompts of some classes in the space of token embeddings, where a path can lead.

    Args:
        encode_text: of the model; it must have the steps of `TextSteps`.
        tower: module that holds the text tower.
        texts: prompts of every class, as many of each.

    Attributes:
        n_classes: number of classes.
        n_texts: prompts per class.
        empty: (L, D), token embeddings of an empty prompt.
        blocks: of the text tower, by prefixed name.

    Raises:
        AttributionError: the text tower offers no such steps, or has no blocks or no token
            embeddings that are known.
    """

    def __init__(
        self, encode_text: object, tower: nn.Module | None, texts: Sequence[Sequence[str]]
    ) -> None:
        steps = ("tokenize", "encode")
        if tower is None or not all(hasattr(encode_text, step) for step in steps):
            raise AttributionError(
                "no text tower with gradients: a score through the text tower needs a model of "
                "open_clip or transformers; use tower vision"
            )
        self._steps: TextSteps = encode_text  # pyright: ignore[reportAttributeAccessIssue]
        self.tower = tower
        self.n_classes, self.n_texts = len(texts), len(texts[0])
        found = text_blocks(tower)
        if not found:
            raise AttributionError("the text tower has no block that is known by its name")
        self.blocks: Blocks = [(TEXT_PREFIX + name, block) for name, block in found]
        self._tokens = self._steps.tokenize([text for some in texts for text in some])
        self._table = self._find_table()
        self.empty = self._look_up(self._steps.tokenize([""]))[0]

    def look_up(self, classes: Tensor | None) -> Tensor:
        """Token embeddings (B, n, L, D) of the prompts of B classes; (1, C T, L, D) for all."""
        found = self._look_up(_rows(self._tokens, self._numbers(classes, 1)))
        return found.unflatten(0, (1 if classes is None else len(classes), -1))

    def encode(self, embeddings: Tensor, classes: Tensor | None) -> Tensor:
        """Class embeddings of given token embeddings, with gradients.

        Args:
            embeddings: (B, n, L, D), n prompts per image: T of one class, or those of all classes.
            classes: (B,), the class whose prompts they are; None for all classes.

        Returns:
            (B, D), or (B, C, D) for all classes; the mean over templates, normalised.
        """
        n_images = len(embeddings)
        numbers = self._numbers(classes, n_images)
        with hooked([(self._table, _give(embeddings.flatten(0, 1)))]):
            encoded = self._steps.encode(_rows(self._tokens, numbers))
        shape = (n_images, -1, self.n_texts) if classes is None else (n_images, self.n_texts)
        return nnf.normalize(encoded.unflatten(0, shape).mean(dim=-2), dim=-1)

    def _numbers(self, classes: Tensor | None, n_images: int) -> Tensor:
        """Numbers of the prompts of one class per image, or of all classes for every image."""
        every = torch.arange(self.n_classes * self.n_texts)
        if classes is None:
            return every.repeat(n_images)
        of_class = every.reshape(self.n_classes, self.n_texts)
        return of_class[classes.cpu().clamp(0, self.n_classes - 1)].flatten()

    def _find_table(self) -> nn.Embedding:
        """The module that looks tokens up: the largest table that gives one vector per token."""
        first = _rows(self._tokens, torch.arange(1))
        seen: dict[nn.Module, Tensor] = {}
        tables = [
            module
            for name, module in self.tower.named_modules()
            if isinstance(module, nn.Embedding) and not name.startswith(NOT_TEXT)
        ]
        with torch.no_grad(), hooked((table, _keep(seen)) for table in tables):
            self._steps.encode(first)
        shape = _ids(first).shape
        found = [table for table in tables if table in seen and seen[table].shape[:-1] == shape]
        if not found:
            raise AttributionError("the text tower looks its tokens up in no table that is known")
        return max(found, key=lambda table: table.num_embeddings)

    def _look_up(self, tokens: Any) -> Tensor:
        with torch.no_grad():
            return self._table(_ids(tokens))


def open_prompts(
    model: ImageModel, settings: AttributionSettings, texts: Sequence[Sequence[str]]
) -> Prompts | None:
    """Prompts of a task for the text tower of a model; None where the settings run none.

    Args:
        model: with `encode_text` and `text_tower` where it has a text tower.
        settings: objective and tower.
        texts: prompts of every class, as many of each.

    Raises:
        AttributionError: there are none, too many, or no text tower to run.
    """
    if settings.tower == "vision":
        return None
    if not texts:
        raise AttributionError("a score through the text tower needs the prompts of the classes")
    n_texts = len(texts[0]) * (len(texts) if settings.objective == "score-mean" else 1)
    if n_texts > MOST_TEXTS:
        raise AttributionError(
            f"{n_texts} prompts would be run at every step of every image, at most {MOST_TEXTS} "
            "are: use tower vision, objective score-class, or fewer templates"
        )
    tower = getattr(model, "text_tower", None)
    return Prompts(getattr(model, "encode_text", None), tower, texts)


@dataclass(frozen=True)
class PairScore:
    """F of rows [image | text | class].

    Attributes:
        encode_image: images to embeddings, not normalised.
        prompts: of the classes, where the text tower is run.
        tower: which of the two is run.
        is_mean: the mean over the classes, not the predicted class.
        image_shape: of one image.
        n_left: entries of a row that are the image's.
        parts: shares of the two towers in the rows.
        precision: of the encoders.
    """

    encode_image: Callable[[Tensor], Tensor]
    prompts: Prompts | None
    tower: Tower
    is_mean: bool
    image_shape: tuple[int, ...]
    n_left: int
    parts: Parts
    precision: str = "fp32"

    def __call__(self, rows: Tensor) -> Tensor:
        """(B, ...) -> (B,)."""
        image_part, text_part, number = (
            rows[:, : self.n_left],
            rows[:, self.n_left : -1],
            rows[:, -1],
        )
        self.parts.inputs.update(vision=image_part, text=text_part)
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            image = image_part if self.tower == "text" else self._image(image_part)
            text = text_part if self.prompts is None else self._text(text_part, number)
        wide = torch.promote_types(image.dtype, torch.float32)
        return nnf.cosine_similarity(image.to(wide), text.to(wide), dim=1)

    def _image(self, image_part: Tensor) -> Tensor:
        return self.encode_image(image_part.reshape(-1, *self.image_shape))

    def _text(self, text_part: Tensor, number: Tensor) -> Tensor:
        assert self.prompts is not None
        tokens = text_part.reshape(len(text_part), -1, *self.prompts.empty.shape)
        if self.is_mean:
            return self.prompts.encode(tokens, None).mean(dim=1)
        return self.prompts.encode(tokens, number.detach().round().long())


def pair_subject(
    model: ImageModel,
    images: Tensor,
    settings: AttributionSettings,
    text: Tensor | None,
    prompts: Prompts | None = None,
) -> Subject:
    """Attribute the score of an image against a text through one tower or both.

    Args:
        model: encoder with its visual module.
        images: (N, 3, H, W), preprocessed.
        settings: objective `score-mean` (against the mean of the class embeddings) or
            `score-class` (against the class predicted for the image, which stays that class).
        text: class embeddings (C, D).
        prompts: of the classes, see `open_prompts`; needed where the text tower is run.

    Raises:
        AttributionError: no class names, or no prompts for the text tower.
    """
    objective, tower = settings.objective, settings.tower
    if text is None or len(text) == 0:
        raise AttributionError(
            f"objective {objective} needs class names: give the task class names, or use l2"
        )
    if tower != "vision" and prompts is None:
        raise AttributionError(f"tower {tower} needs the prompts of the classes")
    prompts = None if tower == "vision" else prompts
    resident = resident_tensors(model.visual)
    images = images.to(resident[0].device) if resident else images
    is_mean = objective == "score-mean"
    text = text.to(images)
    with torch.no_grad():
        embedding = _embed(model, images, settings.precision)
        classes = (nnf.normalize(embedding, dim=1) @ nnf.normalize(text, dim=1).T).argmax(dim=1)
    image_part = embedding.to(images.dtype) if tower == "text" else images.flatten(1)
    if prompts is not None:
        text_part = prompts.look_up(None if is_mean else classes).flatten(1)
    else:
        text_part = text.mean(dim=0, keepdim=True) if is_mean else text[classes]
    rows = torch.cat([image_part, text_part.expand(len(images), -1), classes[:, None]], dim=1)
    blocks, parts = _blocks(model, prompts, settings)
    shape, n_left = tuple(images.shape[1:]), image_part.shape[1]
    score = partial(PairScore, model.encode_image, prompts, tower, is_mean, shape, n_left, parts)
    bounds = {"vision": slice(0, n_left), "text": slice(n_left, -1), "both": slice(0, -1)}[tower]
    return Subject(
        objective=score(settings.precision),
        rows=rows,
        blocks=blocks,
        start=partial(_start, settings, prompts, shape, n_left),
        make=lambda _name: score("fp32"),
        resident=resident + ([] if prompts is None else resident_tensors(prompts.tower)),
        moving=lambda some: some[:, bounds],
        what={"vision": "image", "text": "text", "both": "pair of image and text"}[tower],
    )


def _embed(model: ImageModel, images: Tensor, precision: str) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
        embedding = model.encode_image(images)
    return embedding.to(torch.promote_types(embedding.dtype, torch.float32))


def _blocks(
    model: ImageModel, prompts: Prompts | None, settings: AttributionSettings
) -> tuple[Blocks, Parts]:
    """Blocks of the towers that are run, the visual ones first."""
    visual: Blocks = []
    if settings.tower != "text":
        visual = read_blocks(model.visual, settings.granularity)
    of_text: Blocks = [] if prompts is None else prompts.blocks
    towers = {name: "vision" for name, _ in visual} | {name: "text" for name, _ in of_text}
    n_texts = 1
    if prompts is not None:
        n_texts = prompts.n_texts * (prompts.n_classes if settings.objective == "score-mean" else 1)
    return [*visual, *of_text], Parts(towers, {"text": n_texts})


def _start(
    settings: AttributionSettings,
    prompts: Prompts | None,
    image_shape: tuple[int, ...],
    n_left: int,
    rows: Tensor,
) -> Tensor:
    """Rows with the image, the text or both at the start of the path."""
    image_part, text_part, rest = rows[:, :n_left], rows[:, n_left:-1], rows[:, -1:]
    if settings.tower != "text":
        image_part = baseline_images(
            settings.baseline, image_part.reshape(-1, *image_shape)
        ).flatten(1)
    if prompts is not None:
        n_texts = text_part.shape[1] // prompts.empty.numel()
        text_part = prompts.empty.to(rows).flatten().repeat(n_texts).expand(len(rows), -1)
    return torch.cat([image_part, text_part, rest], dim=1)


def _give(embeddings: Tensor) -> Callable[..., Tensor]:
    """A hook that puts given embeddings in the place of a table's own."""

    def hook(_module: nn.Module, _args: Any, _kwargs: Any, output: Tensor) -> Tensor:
        if output.shape != embeddings.shape:
            raise AttributionError(
                f"the text tower looks up {tuple(output.shape)} where {tuple(embeddings.shape)} "
                "were given: it runs its prompts in parts"
            )
        return embeddings.to(output.dtype)

    return hook


def _keep(seen: dict[nn.Module, Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, _args: Any, _kwargs: Any, output: Tensor) -> None:
        seen[module] = output

    return hook


def _ids(tokens: Any) -> Tensor:
    return tokens if isinstance(tokens, Tensor) else tokens["input_ids"]


def _rows(tokens: Any, numbers: Tensor) -> Any:
    """Some rows of token ids, or of every tensor beside them."""
    if isinstance(tokens, Tensor):
        return tokens[numbers.to(tokens.device)]
    return {name: values[numbers.to(values.device)] for name, values in tokens.items()}
