"""Texts: what the text tower makes of the texts of a shard."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from vlmsel.attribution.model_attribution import ieee_float32
from vlmsel.errors import ModelError
from vlmsel.measurements.text import Text
from vlmsel.probes.arrays import list_array
from vlmsel.probes.batch import Batch, TextBatch
from vlmsel.probes.class_embeddings import TEXT_BATCH
from vlmsel.probes.protocol import Probed


class TextProbe:
    """Encodes each text once."""

    needs_images = False
    layers: Sequence[str] = ()

    def __init__(self, measurement: Text) -> None:
        self._measurement = measurement

    def measure(self, batch: Batch) -> Probed:
        """Encode the texts; those whose vector means nothing fail.

        Raises:
            ModelError: the model encodes no text, or gives one vector for different texts.
        """
        name = batch.model.spec.name
        if not isinstance(batch, TextBatch):
            raise ModelError(f"{name}: this batch holds images, no texts")
        texts = batch.words
        if batch.model.encode_text is None:
            raise ModelError(f"{name} encodes no text")
        vectors = np.concatenate(
            [
                self._encode(batch, texts[start : start + TEXT_BATCH])
                for start in range(0, len(texts), TEXT_BATCH)
            ]
        )
        if len(set(texts)) > 1 and (vectors == vectors[0]).all():
            raise ModelError(f"{name}: all {len(texts)} texts have the same embedding")
        lengths = np.linalg.norm(vectors.astype(float), axis=1)
        sound = np.isfinite(lengths) & (lengths > 0)
        kept = np.flatnonzero(sound).tolist()
        failures = {
            int(number): "its text embedding is not finite or zero"
            for number in np.flatnonzero(~sound)
        }
        columns: dict[str, pa.Array] = {
            "text": pa.array([texts[number] for number in kept]),
            "vector": list_array(vectors[kept]),
        }
        return Probed(kept, columns, failures)

    def _encode(self, batch: Batch, texts: Sequence[str]) -> np.ndarray:
        encode = batch.model.encode_text
        assert encode is not None
        with torch.no_grad(), ieee_float32():
            return encode(texts).float().cpu().numpy()
