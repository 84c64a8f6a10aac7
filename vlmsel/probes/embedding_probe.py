"""Embeddings: the output of a batch's shared forward pass, or of blocks on the way."""

from collections.abc import Sequence

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import pad

from vlmsel.errors import ModelError
from vlmsel.measurements.embedding import EVERY_BLOCK, OUTPUT, Embedding
from vlmsel.probes.arrays import list_array
from vlmsel.probes.batch import Batch
from vlmsel.probes.guards import find_unusable_images
from vlmsel.probes.protocol import Probed


class EmbeddingProbe:
    """Keeps the vectors."""

    def __init__(self, measurement: Embedding) -> None:
        self._layer = measurement.layer

    @property
    def needs_images(self) -> bool:
        """It is what would be stored."""
        return True

    @property
    def layers(self) -> Sequence[str]:
        """The block whose output is kept, or all, if it is not the embedding itself."""
        return () if self._layer == OUTPUT else (self._layer,)

    def measure(self, batch: Batch) -> Probed:
        """Keep the vector of every image that has a finite one.

        Raises:
            ModelError: the model has no such block, or one embedding for all images.
        """
        failures = find_unusable_images(batch)
        vectors = batch.embedding if self._layer == OUTPUT else self._block(batch)
        for number in (~torch.isfinite(vectors).all(dim=1)).nonzero().flatten().tolist():
            failures.setdefault(number, f"the output of {self._layer} is not finite")
        kept = [number for number in range(len(batch)) if number not in failures]
        columns: dict[str, pa.Array] = {"vector": list_array(vectors[kept].cpu().numpy())}
        return Probed(kept, columns, failures)

    def _block(self, batch: Batch) -> Tensor:
        names = batch.block_names if self._layer == EVERY_BLOCK else (self._layer,)
        vectors = [mean_over_positions(batch.layer(name), batch, name).float() for name in names]
        widest = max(vector.shape[1] for vector in vectors)
        return torch.cat([pad(vector, (0, widest - vector.shape[1])) for vector in vectors], dim=1)


def mean_over_positions(output: Tensor, batch: Batch, layer: str) -> Tensor:
    """One vector per image: tokens (N, T, D) or a map (N, C, H, W) averaged over its positions.

    Raises:
        ModelError: the output has another shape.
    """
    if len(output) == len(batch) and output.ndim == 2:
        return output
    if len(output) == len(batch) and output.ndim == 3:
        return output.mean(dim=1)
    if len(output) == len(batch) and output.ndim == 4:
        trunk = getattr(batch.model.visual, "trunk", batch.model.visual)
        channels_last = str(getattr(trunk, "output_fmt", "NCHW")).endswith("NHWC")
        return output.mean(dim=(1, 2) if channels_last else (2, 3))
    raise ModelError(
        f"{batch.model.spec.name}: the output of {layer} has shape {tuple(output.shape)}, of which "
        "no vector per image can be made"
    )
