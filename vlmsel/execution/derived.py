"""Stored embeddings in place of images: predictions for other classes touch no image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vlmsel.measurements.embedding import Embedding
from vlmsel.store.keys import CellId, cell_key, images_digest
from vlmsel.store.store import Store
from vlmsel.tasks.index import ImageRef
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity


@dataclass(frozen=True)
class StoredEmbeddings:
    """Embeddings of a shard, as a forward pass would give them.

    Attributes:
        embedding: (n, D) float32, in shard order.
        refs: the n images.
        failed: (image, reason) of the others.
    """

    embedding: Tensor
    refs: tuple[ImageRef, ...]
    failed: tuple[tuple[ImageRef, str], ...]


def stored_embeddings(
    store: Store, spec: ModelSpec, identity: ModelIdentity, shard: Shard
) -> StoredEmbeddings | None:
    """The output embeddings of a model on a shard; None where the store has none, or no sound file.

    Raises:
        StoreError: the store cannot be read.
    """
    measurement = Embedding()
    images = images_digest((ref.image_id, ref.sha256) for ref in shard.images)
    key = cell_key(identity.digest, measurement.digest, images)
    cell = CellId(
        spec.model, spec.pretrained, shard.task, key, measurement.digest, measurement.kind
    )
    files = store.cells(cell.kind, cell.settings, [cell])
    if not files:
        return None
    rows = store.scan(files, columns=["image_id", "vector", "reason"]).rows
    vectors = dict(rows.select("image_id", "vector").iter_rows())
    reasons = dict(rows.select("image_id", "reason").iter_rows())
    refs = tuple(ref for ref in shard.images if vectors.get(ref.image_id) is not None)
    if not refs:
        return None
    failed = tuple(
        (ref, reasons.get(ref.image_id) or "it is not in the stored embeddings")
        for ref in shard.images
        if ref not in refs
    )
    embedding = torch.tensor([vectors[ref.image_id] for ref in refs], dtype=torch.float32)
    return StoredEmbeddings(embedding, refs, failed)
