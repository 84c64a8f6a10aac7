"""Stored embeddings in place of images: predictions for other classes touch no image."""

import torch
from torch import Tensor

from vlmsel.measurements.embedding import Embedding
from vlmsel.store.keys import CellId, cell_key, images_digest
from vlmsel.store.store import Store
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity


def stored_embeddings(
    store: Store, spec: ModelSpec, identity: ModelIdentity, shard: Shard
) -> Tensor | None:
    """The output embeddings of a model on a shard, as a forward pass would give them.

    Returns:
        (images, D) float32 in shard order; None unless the store has one of every image (an image
        that failed when they were measured may be readable by now).

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
    rows = store.scan(files, columns=["image_id", "vector"]).rows
    vectors = dict(rows.drop_nulls().iter_rows())
    if any(ref.image_id not in vectors for ref in shard.images):
        return None
    return torch.tensor([vectors[ref.image_id] for ref in shard.images], dtype=torch.float32)
