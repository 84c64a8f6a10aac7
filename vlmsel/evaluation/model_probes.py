"""All units of one model: read its cells once, compute what is asked. What an executor runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from vlmsel.evaluation.probe_cache import ProbeKey
from vlmsel.evaluation.probe_work import ProbeOptions, ProbeResult, probe_unit
from vlmsel.evaluation.shots import LabelledImages
from vlmsel.evidence.accuracies import softmax
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store


@dataclass(frozen=True)
class TaskCells:
    """Inputs of a model's units on one task; small and picklable.

    Attributes:
        images: the labelled images.
        embeddings: files of the embeddings by cell.
        predictions: files of the predictions by cell; none where zero-shot answers are unknown.
        keys: the units.
    """

    images: LabelledImages
    embeddings: Mapping[CellId, str]
    predictions: Mapping[CellId, str]
    keys: tuple[ProbeKey, ...]


@dataclass(frozen=True)
class ModelProbes:
    """The work of one model.

    Attributes:
        name: for messages.
        store: address of the store.
        tasks: its units by task.
        options: draws and scores.
    """

    name: str
    store: str
    tasks: tuple[TaskCells, ...]
    options: ProbeOptions


def run_model_probes(work: ModelProbes) -> list[tuple[ProbeKey, ProbeResult]]:
    """Compute all units of a model.

    Raises:
        StoreError: a cell cannot be read.
    """
    store = Store(work.store)
    found = []
    for task in work.tasks:
        vectors = read_vectors(store, task.embeddings, task.images)
        probabilities = read_probabilities(store, task.predictions, task.images)
        for key in task.keys:
            if vectors is None:
                result = ProbeResult(reason="its embeddings cannot be read")
            else:
                result = probe_unit(vectors, probabilities, task.images, key.shots, work.options)
            found.append((key, result))
    return found


def read_vectors(
    store: Store, files: Mapping[CellId, str], images: LabelledImages
) -> np.ndarray | None:
    """Embeddings in the order of the labelled images, NaN where an image has none.

    Returns:
        (n, d); None where no image has one.

    Raises:
        StoreError: a cell cannot be read.
    """
    columns = ["image_id", "vector", "reason"]
    rows = store.scan(files, kind="embedding", columns=columns).measured
    if rows.is_empty():
        return None
    return _look_up_rows(rows.select("image_id", "vector"), images)


def read_probabilities(
    store: Store, files: Mapping[CellId, str], images: LabelledImages
) -> np.ndarray | None:
    """Zero-shot probabilities of all classes, likewise; None where not all logits are kept.

    Raises:
        StoreError: a cell cannot be read.
    """
    if not files:
        return None
    columns = ["image_id", "log_sum_exp", "logits", "n_classes", "reason"]
    rows = store.scan(files, kind="prediction", columns=columns).measured
    whole = rows.filter(pl.col("logits").list.len() == pl.col("n_classes"))
    if whole.is_empty() or whole["n_classes"].n_unique() > 1 or whole.height < rows.height:
        return None
    logits = _look_up_rows(whole.select("image_id", "logits"), images)
    total = _look_up_rows(whole.select("image_id", pl.concat_list("log_sum_exp")), images)
    found = softmax(logits, total[:, 0])
    # Half precision: sums differ from 1 in the third digit.
    return found / found.sum(axis=1, keepdims=True)


def _look_up_rows(rows: pl.DataFrame, images: LabelledImages) -> np.ndarray:
    names, values = rows.get_columns()
    matrix = np.array(values.to_list(), dtype=float)
    place = {name: row for row, name in enumerate(names)}
    chosen = np.array([place.get(name, -1) for name in images.image_ids])
    return np.where(chosen[:, None] >= 0, matrix[chosen], np.nan)
