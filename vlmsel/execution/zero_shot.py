"""Accuracy cells: zero-shot accuracy of a model on all images of a labelled task."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlmsel.errors import ModelError, TaskError
from vlmsel.execution.cells import AccuracyJob, Cell
from vlmsel.execution.classes import class_embeddings
from vlmsel.execution.measure import Decode, Measured
from vlmsel.store.accuracies import AccuracyStore
from vlmsel.store.failed_images import ImageReasons
from vlmsel.store.failures import FailureLog
from vlmsel.store.filesystem import open_folder
from vlmsel.tasks.index import ImageRef
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.loader import LoadedModel

# Images in memory at once, whatever the size of the task.
CHUNK_IMAGES = 64
TOP_K = 5


@dataclass(frozen=True)
class Accuracy:
    """Fractions of N images.

    `acc5` is None where there are too few classes for it to say anything.
    """

    acc1: float
    acc5: float | None
    mean_per_class_recall: float
    n_images: int


def accuracy(similarity: Tensor, labels: Tensor) -> Accuracy:
    """Top-1 and top-5 accuracy, and mean per-class recall.

    Args:
        similarity: (N, classes), larger is closer.
        labels: (N,) class numbers.
    """
    n_images, n_classes = similarity.shape
    top = similarity.topk(min(TOP_K, n_classes), dim=1).indices
    hits = top == labels[:, None]
    right = hits[:, 0].double()
    per_class = [right[labels == label].mean() for label in labels.unique()]
    acc5 = hits.any(dim=1).double().mean().item() if n_classes > TOP_K else None
    recall = torch.stack(per_class).mean().item()
    return Accuracy(right.mean().item(), acc5, recall, n_images)


class AccuracyRecorder:
    """Measures and stores zero-shot accuracies.

    Args:
        job: the prompts of every task.
        store_uri: address of the accuracy store.
    """

    def __init__(self, job: AccuracyJob, store_uri: str) -> None:
        self._job = job
        self._store = AccuracyStore(store_uri)
        self._failures = FailureLog(open_folder(store_uri))

    def has(self, cell: Cell) -> bool:
        """Whether the store holds this accuracy."""
        return self._store.has(cell.id.model, cell.id.pretrained, cell.id.task, cell.id.key)

    def failed_images(self, cell: Cell) -> ImageReasons:
        """(image_id, reason) of the images that a measured accuracy is without."""
        return self._store.failed_in(cell.id)

    def measure(
        self,
        model: LoadedModel,
        cell: Cell,
        decode: Decode,
        accelerator: AbstractContextManager[object],
    ) -> Measured:
        """Embed the task's images chunk by chunk, classify them, and commit one row.

        Raises:
            ModelError: the model encodes no text.
            TaskError: an image has no label.
            StoreError: the row cannot be written.
        """
        prompts = self._job.prompts[cell.id.task]
        labels = _labels(cell.shard)
        if model.encode_text is None:
            raise ModelError(f"{model.spec.name} encodes no text, so it has no zero-shot accuracy")
        with accelerator, torch.inference_mode():
            classes = class_embeddings(model.encode_text, prompts)
        similarities: list[Tensor] = []
        refs: list[ImageRef] = []
        failed: list[tuple[ImageRef, str]] = []
        seconds, n_decoded = 0.0, 0
        for chunk in _chunks(cell.shard):
            decoded = decode(chunk)
            failed += decoded.failed
            n_decoded += decoded.n_decoded
            if decoded.images is None:
                continue
            with accelerator, torch.inference_mode():
                start = time.perf_counter()
                images = normalize(model.encode_image(decoded.images.to(classes.device)), dim=-1)
                similarities.append((images @ classes.T).cpu())
                seconds += time.perf_counter() - start
            refs += decoded.refs
        if refs:
            truth = torch.tensor([labels[ref.image_id] for ref in refs])
            self._write(cell, accuracy(torch.cat(similarities), truth), failed)
        return Measured(len(refs), tuple(failed), seconds, n_decoded)

    def fail(self, cell: Cell, reason: str, kind: str) -> None:
        """Note in the store why this accuracy could not be measured."""
        if not self.has(cell):
            self._failures.add(cell.id, reason, kind)

    def _write(self, cell: Cell, value: Accuracy, failed: list[tuple[ImageRef, str]]) -> None:
        row = {
            "acc1": value.acc1,
            "acc5": value.acc5,
            "mean_per_class_recall": value.mean_per_class_recall,
            "n_images": value.n_images,
        }
        types = [pa.float64(), pa.float64(), pa.float64(), pa.int64()]
        schema = pa.schema(list(zip(row, types, strict=True)))
        rows = pa.Table.from_pylist([row], schema=schema)
        names = [(ref.image_id, reason) for ref, reason in failed]
        place = (cell.id.model, cell.id.pretrained, cell.id.task, cell.id.key)
        self._store.write(*place, rows, failed=names, replace=cell.again)
        self._failures.forget(cell.id)


def _labels(shard: Shard) -> dict[str, int]:
    labels: dict[str, int] = {}
    for ref in shard.images:
        if ref.label is None:
            raise TaskError(
                f"task {shard.task}: image {ref.image_id} has no label; an accuracy "
                "needs labelled images (class folders, .cls members or a label column)"
            )
        labels[ref.image_id] = ref.label
    return labels


def _chunks(shard: Shard) -> Iterator[Shard]:
    for first in range(0, len(shard.images), CHUNK_IMAGES):
        yield replace(shard, images=shard.images[first : first + CHUNK_IMAGES])
