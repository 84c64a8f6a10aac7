"""Predictions: zero-shot logits of a batch over the classes of its task."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from torch.nn.functional import normalize

from vlmsel.attribution.model_attribution import ieee_float32
from vlmsel.measurements.prediction import Prediction
from vlmsel.probes.arrays import FLOAT16_MAX, list_array
from vlmsel.probes.batch import Batch
from vlmsel.probes.guards import find_unusable_images
from vlmsel.probes.option_answers import predict_options
from vlmsel.probes.protocol import Probed
from vlmsel.tasks.questions import TaskQuestions


class PredictionProbe:
    """Compares the image embeddings with the class embeddings (Radford et al. 2021, 3.1)."""

    needs_images = False
    layers: Sequence[str] = ()

    def __init__(self, measurement: Prediction) -> None:
        self._measurement = measurement

    def measure(self, batch: Batch) -> Probed:
        """Answer on every image whose embedding means something.

        Raises:
            ModelError: embeddings or class embeddings mean nothing.
        """
        if isinstance(batch.prompts, TaskQuestions):
            return predict_options(batch, batch.prompts, self._measurement)
        classes = batch.class_embeddings
        failures = find_unusable_images(batch)
        with torch.inference_mode(), ieee_float32():
            # Of all images at once: the values of one must not depend on which others failed.
            similarity = normalize(batch.embedding, dim=-1) @ classes.to(batch.device).T
            logits = batch.model.logit_scale * similarity + batch.model.logit_bias
            # By the similarity, since a bias that is added afterwards rounds differences away.
            order = similarity.sort(dim=-1, descending=True, stable=True).indices
            log_sum_exp = logits.logsumexp(dim=-1)
        for number in (~torch.isfinite(logits).all(dim=1)).nonzero().flatten().tolist():
            failures.setdefault(number, "its logits are not finite")
        kept = [number for number in range(len(batch)) if number not in failures]
        top = order[kept][:, : self._measurement.n_top].cpu()
        values = logits[kept].cpu()
        if self._measurement.logits != "full":
            values = values.gather(1, top)
        values = values.clamp(-FLOAT16_MAX, FLOAT16_MAX)
        columns = {
            "argmax": pa.array(top[:, 0].numpy().astype(np.int32)),
            "top": list_array(top.numpy().astype(np.int32)),
            "log_sum_exp": pa.array(log_sum_exp[kept].cpu().numpy()),
            "logits": list_array(values.numpy().astype(np.float16)),
            "n_classes": pa.array(np.full(len(kept), len(classes), np.int32)),
        }
        return Probed(kept, columns, failures)
