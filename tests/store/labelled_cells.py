"""Cells with embeddings and predictions of labelled images, one shard."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tests.store.cases import make_cell, make_predictions
from vlmsel.evaluation.shots import LabelledImages
from vlmsel.measurements import Embedding, Prediction
from vlmsel.store import CellId, Store

CODES = np.arange(30) % 3
NAMES = tuple(f"{i:02}.png" for i in range(30))
IMAGES = LabelledImages("eurosat", NAMES, CODES, np.arange(30))


def embedding_files(
    store: Store, vectors: np.ndarray, *, model: str = "m", failed: Sequence[int] = ()
) -> dict[CellId, str]:
    """Write one cell, its rows upside down, and give its file."""
    cell = make_cell(model, "x", images=NAMES, measurement=Embedding())
    rows = [
        {
            "model": model,
            "pretrained": "x",
            "task": "eurosat",
            "image_id": name,
            "image_sha256": f"sha of {name}",
            "vector": None if i in failed else vectors[i].tolist(),
            "reason": "broken" if i in failed else None,
        }
        for i, name in reversed(list(enumerate(NAMES)))
    ]
    store.write(cell, Embedding(), pa.Table.from_pylist(rows, schema=Embedding.row_schema()))
    return store.cells("embedding", cell.settings, [cell])


def prediction_files(store: Store, answers: np.ndarray, *, model: str = "m") -> dict[CellId, str]:
    """Write one cell of answers 0 and 1, and give its file."""
    cell = make_cell(model, "x", images=NAMES, measurement=Prediction())
    parts = [
        make_predictions(cell, [name], int(answer))
        for name, answer in zip(NAMES, answers, strict=True)
    ]
    store.write(cell, Prediction(), pa.concat_tables(parts))
    return store.cells("prediction", cell.settings, [cell])
