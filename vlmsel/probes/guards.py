"""Guards against worthless embeddings, before they are stored, for every kind that reads them."""

import torch

from vlmsel.errors import ModelError
from vlmsel.probes.batch import Batch


def find_unusable_images(batch: Batch) -> dict[int, str]:
    """Images whose embedding is not finite or zero, by number, each with the reason.

    Raises:
        ModelError: all images have the same embedding: it does not depend on the image.
    """
    embedding = batch.embedding
    finite = torch.isfinite(embedding).all(dim=1)
    length = torch.linalg.vector_norm(embedding.double(), dim=1)
    bad = {
        number: "its embedding has values that are not finite"
        for number in (~finite).nonzero().flatten().tolist()
    }
    for number in ((length == 0) & finite).nonzero().flatten().tolist():
        bad[number] = "its embedding is zero"
    if len(bad) < len(batch):
        sound = embedding[finite]
        if bool((sound == sound[0]).all()) and batch.has_distinct(finite):
            raise ModelError(
                f"{batch.model.spec.name}: all {len(sound)} images have the same embedding, so it "
                "says nothing of an image; are its weights those of this architecture?"
            )
    return bad
