"""Scores of one model for one labelled target: what an executor runs, one task per model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.evaluation.model_probes import read_probabilities, read_vectors
from vlmsel.evaluation.shots import LabelledImages
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.transfer.bootstrap_places import resampled_rows, resampled_scores
from vlmsel.selection.transfer.labelled_task import LabelledTask
from vlmsel.selection.transfer.model_inputs import model_inputs
from vlmsel.selection.transfer.score_catalog import find_estimator
from vlmsel.selection.transfer.zoo_table import ScoredModel, score_model
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store


@dataclass(frozen=True)
class ScoringWork:
    """One model on a target; small and picklable.

    Attributes:
        key: model and pretrained.
        store: address of the store.
        embeddings: files by cell.
        predictions: likewise; none where zero-shot answers are unknown.
        images: ids of all labelled images, in the order of the task's rows.
        task: the labelled images, cleaned.
        estimators: names of the scores.
        n_resamples: resamples of the images.
        seed: of folds and resamples.
    """

    key: ModelKey
    store: str
    embeddings: Mapping[CellId, str]
    predictions: Mapping[CellId, str]
    images: LabelledImages
    task: LabelledTask
    estimators: tuple[str, ...]
    n_resamples: int
    seed: int = 0


@dataclass(frozen=True)
class ModelScores:
    """Scores of one model.

    Attributes:
        key: model and pretrained.
        scored: its scores; None where it cannot be scored.
        resampled: scores on resampled images by name, (n_resamples, 2).
        reason: why it cannot be scored.
    """

    key: ModelKey
    scored: ScoredModel | None
    resampled: Mapping[str, np.ndarray]
    reason: str | None = None


def run_model_scores(work: ScoringWork) -> ModelScores:
    """Read a model's cells and score it.

    Raises:
        StoreError: a cell cannot be read.
    """
    store = Store(work.store)
    vectors = read_vectors(store, work.embeddings, work.images)
    if vectors is None or not np.isfinite(vectors).all():
        known = 0 if vectors is None else int(np.isfinite(vectors).all(axis=1).sum())
        total = len(work.images.image_ids)
        return ModelScores(
            work.key, None, {}, f"{known} of {total} labelled images have an embedding"
        )
    head = read_probabilities(store, work.predictions, work.images)
    if head is not None and not np.isfinite(head).all():
        head = None
    chosen = {name: find_estimator(name) for name in work.estimators}
    try:
        inputs = model_inputs(vectors, work.task, zero_shot_head=head, seed=work.seed)
        scored = score_model(work.key, inputs, chosen)
    except SelectionError as error:
        return ModelScores(work.key, None, {}, str(error))
    rows = resampled_rows(work.task, work.n_resamples, work.seed)
    resampled = resampled_scores(inputs, chosen, rows) if work.n_resamples else {}
    return ModelScores(work.key, scored, resampled)
