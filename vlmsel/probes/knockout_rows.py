"""Rows of knockouts: what is answered with no layer silenced, and with each."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from torch import Tensor

from vlmsel.measurements.knockout import (
    ACTS,
    BASE,
    BASE_LAYER,
    NO_BYPASS,
    NOT_FINITE,
    OFF_PATH,
    Knockout,
)
from vlmsel.probes.arrays import FLOAT16_MAX
from vlmsel.probes.protocol import Probed
from vlmsel.zoo.blocks import Blocks


@dataclass(frozen=True)
class SilencedAnswers:
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


def knockout_rows(
    blocks: Blocks,
    base: SilencedAnswers,
    answers: dict[int, SilencedAnswers],
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
    found: SilencedAnswers | None,
    kept: list[int],
    base: SilencedAnswers | None = None,
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
