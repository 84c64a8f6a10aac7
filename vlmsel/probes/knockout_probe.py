"""Knockouts: zero-shot answers with every layer of one tower silenced in turn."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlmsel.attribution.model_attribution import ieee_float32
from vlmsel.measurements.knockout import Knockout
from vlmsel.probes.batch import FORWARD_IMAGES, PIXELS, Batch
from vlmsel.probes.class_embeddings import average_prompts
from vlmsel.probes.guards import find_unusable_images
from vlmsel.probes.knockout_rows import SilencedAnswers, knockout_rows
from vlmsel.probes.protocol import Probed
from vlmsel.probes.silenced_layers import Silenced, Way, choose_way, growing, resumed
from vlmsel.probes.silenced_options import OptionSilencer
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.zoo.blocks import Blocks
from vlmsel.zoo.layer_name import Part, Tower
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.variants import tower_blocks

# Texts at once: what every layer gave of them is kept.
TEXTS = 64
# An embedding that changes by less, relative to its largest value, changes by rounding alone.
CHANGED = 1e-6
TRIED_IMAGES = 2


class KnockoutProbe:
    """Silences the layers of a tower; the other tower runs once."""

    layers: Sequence[str] = ()

    def __init__(self, measurement: Knockout) -> None:
        self._tower: Tower = measurement.tower
        self._part: Part = measurement.part
        self._way: Way | None = None
        self._texts: dict[str, Silenced] = {}
        self._options = OptionSilencer(self._tower, self._part)

    @property
    def needs_images(self) -> bool:
        """True if the visual tower is the one that is silenced."""
        return self._tower == "vision"

    def measure(self, batch: Batch) -> Probed:
        """Answer on every image with each layer silenced.

        Raises:
            ModelError: embeddings or class embeddings mean nothing, or no layer is found.
        """
        blocks = tower_blocks(batch.model, self._tower)
        with torch.inference_mode(), ieee_float32():
            if isinstance(batch.prompts, TaskQuestions):
                base, answers, failures = self._options.answers(batch, blocks, batch.prompts)
            else:
                # Refuses classes that cannot be told apart by the model as it is.
                classes = batch.class_embeddings
                silence = self._images if self._tower == "vision" else self._texts_of
                base, answers, failures = silence(batch, blocks, classes)
        for number in (~base.finite).nonzero().flatten().tolist():
            failures.setdefault(number, "its logits are not finite")
        kept = [number for number in range(len(batch)) if number not in failures]
        return knockout_rows(blocks, base, answers, kept, failures)

    def _images(self, batch: Batch, blocks: Blocks, classes: Tensor) -> "_Answered":
        """Answers with each visual layer silenced."""
        found = self._embeddings(batch, blocks)
        sided = Batch(batch.model, batch.images, batch.sha256s, embedding=found.base)
        answers = {
            number: _answer(batch.model, output, classes, _has_changed(output, found.base))
            for number, output in found.outputs.items()
        }
        return _answer(batch.model, found.base, classes), answers, find_unusable_images(sided)

    def _texts_of(self, batch: Batch, blocks: Blocks, _classes: Tensor) -> "_Answered":
        """Answers with each text layer silenced; the images are embedded once."""
        found = self._classes(batch, blocks)
        images = batch.embedding
        answers = {}
        for number, output in found.outputs.items():
            changed = _has_changed(output, found.base).any().expand(len(batch))
            answers[number] = _answer(batch.model, images, output, changed)
        return _answer(batch.model, images, found.base), answers, find_unusable_images(batch)

    def _embeddings(self, batch: Batch, blocks: Blocks) -> Silenced:
        """Image embeddings with each visual layer silenced."""
        model = batch.model
        if self._way is None:
            # Drawn, and not of the batch: every worker must come to the same choice.
            generator = torch.Generator().manual_seed(0)
            drawn = torch.randn(TRIED_IMAGES, *batch.images.shape[1:], generator=generator)
            tried = drawn.to(batch.device)
            ways = (growing, resumed)
            self._way = choose_way(partial(_embed, model, tried), blocks, self._part, ways)
        pixels = batch.images.shape[-2] * batch.images.shape[-1]
        size = max(1, FORWARD_IMAGES * PIXELS // pixels // (len(blocks) + 1))
        parts = []
        for images in batch.images.split(size):
            run = partial(_embed, model, images.to(batch.device))
            parts.append(self._way(run, blocks, self._part))
        return _join(parts)

    def _classes(self, batch: Batch, blocks: Blocks) -> Silenced:
        """Class embeddings with each text layer silenced; once per model and prompts."""
        prompts = batch.prompts
        assert isinstance(prompts, ClassPrompts)
        if prompts.digest not in self._texts:
            self._texts[prompts.digest] = self._encode(batch.model, prompts, blocks)
        return self._texts[prompts.digest]

    def _encode(self, model: LoadedModel, prompts: ClassPrompts, blocks: Blocks) -> Silenced:
        encode = model.encode_text
        assert encode is not None
        texts = [text for name in prompts.classnames for text in prompts.texts(name)]
        tried = [texts[0], texts[-1]]
        way = choose_way(partial(encode, tried), blocks, self._part, (resumed,))
        portions = [texts[first : first + TEXTS] for first in range(0, len(texts), TEXTS)]
        found = _join([way(partial(encode, texts), blocks, self._part) for texts in portions])
        outputs = {n: average_prompts(output, prompts) for n, output in found.outputs.items()}
        return Silenced(average_prompts(found.base, prompts), outputs, found.reasons)


# The base's answers, those by silenced layer, and images that cannot be used with the reason.
_Answered = tuple[SilencedAnswers, dict[int, SilencedAnswers], dict[int, str]]


def _embed(model: LoadedModel, images: Tensor) -> Tensor:
    return model.encode_image(images).float()


def _join(parts: Sequence[Silenced]) -> Silenced:
    """The rows of several runs, one after the other."""
    first = parts[0]
    outputs = {n: torch.cat([part.outputs[n] for part in parts]) for n in first.outputs}
    return Silenced(torch.cat([part.base for part in parts]), outputs, first.reasons)


def _has_changed(output: Tensor, base: Tensor) -> Tensor:
    """(rows,), whether an embedding differs by more than rounding; one that is no number does."""
    gap = (output - base).abs().amax(dim=1)
    return ~(gap <= CHANGED * base.abs().amax(dim=1))


def _answer(
    model: LoadedModel, embedding: Tensor, classes: Tensor, changed: Tensor | None = None
) -> SilencedAnswers:
    similarity = normalize(embedding, dim=-1) @ classes.to(embedding.device).T
    logits = model.logit_scale * similarity + model.logit_bias
    # By the similarity and the first of equals, as predictions do.
    argmax = similarity.sort(dim=-1, descending=True, stable=True).indices[:, 0]
    finite = torch.isfinite(logits).all(dim=1)
    return SilencedAnswers(argmax, logits.log_softmax(dim=-1), finite, changed)
