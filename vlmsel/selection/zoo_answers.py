"""Answers of a zoo on the images of one task, for selectors that need no labels."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import FAILED
from vlmsel.selection.knowledge import ModelKey

MEASURES = ("confidence", "margin", "entropy")


@dataclass(frozen=True)
class ZooAnswers:
    """Answers of each model on each image, labels unseen.

    Attributes:
        models: (model, pretrained) of the rows.
        images: ids of the columns, in the order in which images are measured.
        classes: (models, images), class numbers; `FAILED` where a model has no answer.
        n_classes: number of classes.
        confidence: (models, images), probability of the answer; NaN where unknown.
        margin: (models, images), by how much it is more probable than the next class.
        entropy: (models, images), sum p ln p: 0 where a model is sure; NaN where only the best
            logits are known.
    """

    models: tuple[ModelKey, ...]
    images: tuple[str, ...]
    classes: np.ndarray
    n_classes: int
    confidence: np.ndarray
    margin: np.ndarray
    entropy: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays of other shapes."""
        shape = (len(self.models), len(self.images))
        if any(getattr(self, name).shape != shape for name in ("classes", *MEASURES)):
            raise SelectionError(
                f"answers need one row per model and one column per image: {shape}"
            )

    @cached_property
    def digest(self) -> str:
        """Digest of all that is answered, in the order it has."""
        digest = hashlib.sha256(repr((self.models, self.images, self.n_classes)).encode())
        for name in ("classes", *MEASURES):
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()

    def select_models(self, places: Sequence[int] | np.ndarray) -> "ZooAnswers":
        """The same of some models, by their places."""
        rows = np.asarray(places, dtype=int)
        arrays = {name: getattr(self, name)[rows] for name in ("classes", *MEASURES)}
        return replace(self, models=tuple(self.models[i] for i in rows), **arrays)

    def first_images(self, n_images: int | None) -> "ZooAnswers":
        """The same on the first `n_images` images, on all if None."""
        arrays = {name: getattr(self, name)[:, :n_images] for name in ("classes", *MEASURES)}
        return replace(self, images=self.images[:n_images], **arrays)


def zoo_answers(predictions: pl.DataFrame) -> dict[str, ZooAnswers]:
    """Lay stored predictions out, by task.

    Args:
        predictions: model, pretrained, task, image_id, argmax, n_classes; measured rows alone. With
            log_sum_exp and logits the probabilities are known, too.
    """
    parts = predictions.partition_by("task", as_dict=True, maintain_order=True)
    return {str(task): _lay_out_task(rows) for (task,), rows in sorted(parts.items())}


def image_order(image_id: str) -> str:
    """Key of the order in which the images of a task are measured."""
    return hashlib.sha256(image_id.encode()).hexdigest()


def _lay_out_task(rows: pl.DataFrame) -> ZooAnswers:
    models = rows.select(MODEL).unique().sort(MODEL)
    images = sorted(rows["image_id"].unique(), key=lambda name: (image_order(name), name))
    placed = rows.join(models.with_row_index("_m"), on=MODEL).join(
        pl.DataFrame({"image_id": images}, schema={"image_id": pl.String}).with_row_index("_i"),
        on="image_id",
    )
    at = (placed["_m"].to_numpy(), placed["_i"].to_numpy())
    shape = (len(models), len(images))
    classes = np.full(shape, FAILED)
    classes[at] = placed["argmax"].to_numpy()
    measures = {name: np.full(shape, np.nan) for name in MEASURES}
    if "logits" in rows.columns:
        for name, values in _compute_measures(placed).items():
            measures[name][at] = values
    return ZooAnswers(
        tuple(models.rows()),
        tuple(images),
        classes,
        int(rows["n_classes"].to_numpy().max()),
        **measures,
    )


def _compute_measures(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """Confidence, margin and entropy of each row, from its logits (the best ones, or all)."""
    width = int(rows["logits"].list.len().to_numpy().max())
    logits = rows["logits"].explode().to_numpy().astype(float).reshape(-1, width)
    log_p = logits - rows["log_sum_exp"].to_numpy().astype(float)[:, None]
    # The logits' float16 may lie above the float32 that log_sum_exp was made of.
    p = np.minimum(np.exp(log_p), 1.0)
    top = np.sort(p, axis=1)[:, ::-1]
    second = top[:, 1] if width > 1 else 0.0
    whole = width == int(rows["n_classes"].to_numpy().max())
    entropy = (p * np.minimum(log_p, 0.0)).sum(axis=1) if whole else np.full(len(rows), np.nan)
    return {"confidence": top[:, 0], "margin": top[:, 0] - second, "entropy": entropy}
