"""Knockouts: zero-shot answers with every layer of one tower silenced in turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlmsel.attribution.profile import ieee_float32
from vlmsel.measurements.knockout import (
    ACTS,
    BASE,
    BASE_LAYER,
    NO_BYPASS,
    NOT_FINITE,
    OFF_PATH,
    Knockout,
)
from vlmsel.probes.batch import FORWARD_IMAGES, PIXELS, Batch
from vlmsel.probes.class_embeddings import average_prompts
from vlmsel.probes.guards import unusable_images
from vlmsel.probes.prediction import FLOAT16_MAX
from vlmsel.probes.probe import Probed
from vlmsel.probes.silenced_layers import Silenced, Way, choose_way, growing, resumed
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.zoo.blocks import Blocks
from vlmsel.zoo.layer_name import Part, Tower
from vlmsel.zoo.loader import LoadedModel
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
        # Refuses classes that cannot be told apart by the model as it is.
        classes = batch.class_embeddings
        silence = self._images if self._tower == "vision" else self._texts_of
        with torch.inference_mode(), ieee_float32():
            base, answers, failures = silence(batch, blocks, classes)
        for number in (~base.finite).nonzero().flatten().tolist():
            failures.setdefault(number, "its logits are not finite")
        kept = [number for number in range(len(batch)) if number not in failures]
        return _rows(blocks, base, answers, kept, failures)

    def _images(self, batch: Batch, blocks: Blocks, classes: Tensor) -> "_Answered":
        """Answers with each visual layer silenced."""
        found = self._embeddings(batch, blocks)
        sided = Batch(batch.model, batch.images, batch.sha256s, embedding=found.base)
        answers = {
            number: _answer(batch.model, output, classes, _changed(output, found.base))
            for number, output in found.outputs.items()
        }
        return _answer(batch.model, found.base, classes), answers, unusable_images(sided)

    def _texts_of(self, batch: Batch, blocks: Blocks, _classes: Tensor) -> "_Answered":
        """Answers with each text layer silenced; the images are embedded once."""
        found = self._classes(batch, blocks)
        images = batch.embedding
        answers = {}
        for number, output in found.outputs.items():
            changed = _changed(output, found.base).any().expand(len(batch))
            answers[number] = _answer(batch.model, images, output, changed)
        return _answer(batch.model, images, found.base), answers, unusable_images(batch)

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
        return _joined(parts)

    def _classes(self, batch: Batch, blocks: Blocks) -> Silenced:
        """Class embeddings with each text layer silenced; once per model and prompts."""
        prompts = batch.prompts
        assert prompts is not None
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
        found = _joined([way(partial(encode, texts), blocks, self._part) for texts in portions])
        outputs = {n: average_prompts(output, prompts) for n, output in found.outputs.items()}
        return Silenced(average_prompts(found.base, prompts), outputs, found.reasons)


@dataclass(frozen=True)
class _Answers:
    """Answers on all images of a batch.

    Attributes:
        argmax: (N,).
        log_probabilities: (N, C), float32.
        finite: (N,), whether every logit is a number.
        changed: (N,), whether the silenced layer changed an embedding; None for the base.
    """

    argmax: Tensor
    log_probabilities: Tensor
    finite: Tensor
    changed: Tensor | None


# The base's answers, those by silenced layer, and images that cannot be used with the reason.
_Answered = tuple[_Answers, dict[int, _Answers], dict[int, str]]


def _embed(model: LoadedModel, images: Tensor) -> Tensor:
    return model.encode_image(images).float()


def _joined(parts: Sequence[Silenced]) -> Silenced:
    """The rows of several runs, one after the other."""
    first = parts[0]
    outputs = {n: torch.cat([part.outputs[n] for part in parts]) for n in first.outputs}
    return Silenced(torch.cat([part.base for part in parts]), outputs, first.reasons)


def _changed(output: Tensor, base: Tensor) -> Tensor:
    """(rows,), whether an embedding differs by more than rounding; one that is no number does."""
    gap = (output - base).abs().amax(dim=1)
    return ~(gap <= CHANGED * base.abs().amax(dim=1))


def _answer(
    model: LoadedModel, embedding: Tensor, classes: Tensor, changed: Tensor | None = None
) -> _Answers:
    similarity = normalize(embedding, dim=-1) @ classes.to(embedding.device).T
    logits = model.logit_scale * similarity + model.logit_bias
    # By the similarity and the first of equals, as predictions do.
    argmax = similarity.sort(dim=-1, descending=True, stable=True).indices[:, 0]
    finite = torch.isfinite(logits).all(dim=1)
    return _Answers(argmax, logits.log_softmax(dim=-1), finite, changed)


def _rows(
    blocks: Blocks,
    base: _Answers,
    answers: dict[int, _Answers],
    kept: list[int],
    failures: dict[int, str],
) -> Probed:
    """One row per image and layer, the base before the layers."""
    parts = [_columns(BASE_LAYER, BASE, base, kept)]
    for number, (name, _) in enumerate(blocks):
        parts.append(_columns(number, name, answers.get(number), kept, base))
    names = Knockout.values.names
    columns = {name: pa.concat_arrays([part[name] for part in parts]) for name in names}
    return Probed(kept * len(parts), columns, failures)


def _columns(
    number: int,
    name: str,
    found: _Answers | None,
    kept: list[int],
    base: _Answers | None = None,
) -> dict[str, pa.Array]:
    n_rows = len(kept)
    shown = found or base
    assert shown is not None
    n_classes = shown.log_probabilities.shape[1]
    states = np.full(n_rows, NO_BYPASS if found is None else BASE, dtype=object)
    argmax = np.full(n_rows, -1, dtype=np.int32)
    values = np.zeros((n_rows, n_classes), dtype=np.float16)
    if found is not None:
        finite = found.finite[kept].cpu().numpy()
        if found.changed is not None:
            states[:] = np.where(found.changed[kept].cpu().numpy(), ACTS, OFF_PATH)
            states[~finite] = NOT_FINITE
        argmax[finite] = found.argmax[kept].cpu().numpy()[finite]
        log_p = found.log_probabilities[kept].clamp(min=-FLOAT16_MAX).cpu().numpy()
        values[finite] = log_p[finite].astype(np.float16)
    answered = np.isin(states, (BASE, ACTS, OFF_PATH))
    offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * n_classes)
    lists = pa.ListArray.from_arrays(
        offsets, pa.array(values.reshape(-1)), mask=pa.array(~answered)
    )
    return {
        "layer": pa.array(np.full(n_rows, number, np.int32)),
        "layer_name": pa.array([name] * n_rows, pa.string()),
        "state": pa.array(states.tolist(), pa.string()),
        "argmax": pa.array(argmax, mask=states == NO_BYPASS),
        "log_probabilities": lists,
    }
