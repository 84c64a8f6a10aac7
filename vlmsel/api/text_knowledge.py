"""Views of a store's texts: vectors of class names and captions, and what labelled images add."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from vlmsel.columns import CELL
from vlmsel.errors import SelectionError
from vlmsel.evidence.evidence import Evidence
from vlmsel.selection.estimators.vega_estimate import vega_parts
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.texts.text_evidence import GRAPH_COLUMNS, TextEvidence
from vlmsel.selection.texts.text_view import TextView, unit
from vlmsel.selection.zoo_answers import image_order
from vlmsel.tasks.task_texts import TaskTexts


@dataclass(frozen=True)
class StoredTexts:
    """Texts and image embeddings of a store, read once.

    Attributes:
        views: by task, then by model, with gaps and accuracies where images are labelled.
        images: vectors of a task's images by a model in the order in which images are measured.
        features: as published; None makes them of the views.
        notes: where captions and synonyms come from.
    """

    views: Mapping[str, Mapping[ModelKey, TextView]] = field(default_factory=dict, repr=False)
    images: Mapping[tuple[str, ModelKey], np.ndarray] = field(default_factory=dict, repr=False)
    features: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def first_images(self, n_images: int | None) -> TextEvidence:
        """Everything, with graphs of the first images of each task; of all if None."""
        rows = [
            (*key, task, *vega_parts(self.images[task, key][:n_images], view.classes))
            for task, models in self.views.items()
            for key, view in models.items()
            if (task, key) in self.images
        ]
        graphs = pl.DataFrame(rows, schema=GRAPH_COLUMNS, orient="row")
        return TextEvidence(self.views, self.features, graphs, self.notes)


def stored_text_kinds(evidence: Evidence) -> frozenset[str]:
    """List the kinds that selectors by texts ask for and that are measured; reads no file."""
    kinds = {"text"} if evidence.files("text") else set()
    if evidence.has_output_embeddings and evidence.files("embedding"):
        kinds.add("embedding")
    return frozenset(kinds)


def read_texts(evidence: Evidence) -> StoredTexts:
    """Read texts, image embeddings, labels and answers of current catalogs.

    A model counts on a task only where all its texts are there.
    """
    embedded = _image_vectors(evidence)
    of_classes = _class_accuracies(evidence)
    labels = {str(task): rows for (task,), rows in evidence.labels.group_by("task")}
    views: dict[str, dict[ModelKey, TextView]] = {}
    for key, task, rows in _split_by_cell(evidence.read("text").measured):
        texts = evidence.catalogued.texts[task]
        view = _view(texts, rows)
        if view is None:
            continue
        found = embedded.get((task, key))
        if found is not None and task in labels and (task, key) in of_classes:
            numbers = np.array(texts.class_numbers)
            gaps = _gaps(view, found, labels[task], numbers)
            accuracy = of_classes[task, key]
            view = TextView(**{**vars(view), "gaps": gaps, "accuracy": accuracy})
        views.setdefault(task, {})[key] = view
    notes = dict.fromkeys(
        f"{note}: {_count_tasks(evidence, note)}"
        for texts in evidence.catalogued.texts.values()
        for note in texts.notes
    )
    images = {place: found.vectors for place, found in embedded.items()}
    return StoredTexts(views, images, notes=tuple(notes))


@dataclass(frozen=True)
class _Embedded:
    """Vectors of length 1 of images, in the order in which images are measured."""

    image_ids: list[str]
    vectors: np.ndarray


def _count_tasks(evidence: Evidence, note: str) -> str:
    """Count the tasks that a note is about, in words."""
    n_tasks = sum(note in texts.notes for texts in evidence.catalogued.texts.values())
    return f"{n_tasks} of {len(evidence.catalogued.texts)} tasks"


def _split_by_cell(rows: pl.DataFrame) -> Iterator[tuple[ModelKey, str, pl.DataFrame]]:
    parts = rows.partition_by(CELL, as_dict=True, maintain_order=True)
    for (model, pretrained, task), part in sorted(parts.items()):
        yield (str(model), str(pretrained)), str(task), part


def _view(texts: TaskTexts, rows: pl.DataFrame) -> TextView | None:
    """The view of one model; None where a text is missing, or nothing can be told apart."""
    vector_of = dict(zip(rows["image_id"], _vectors(rows), strict=True))
    if any(text.text_id not in vector_of for text in texts.texts):
        return None
    parts = {}
    for role in ("prompt", "caption", "synonym"):
        chosen = [text for text in texts.texts if text.role == role]
        numbers = np.array([text.class_number for text in chosen], dtype=int)
        parts[role] = (numbers, np.array([vector_of[text.text_id] for text in chosen]))
    numbers, prompts = parts["prompt"]
    # Every class has as many prompts, so that their sum points where their mean does.
    sums = np.zeros((len(texts.names), prompts.shape[1]))
    np.add.at(sums, numbers, prompts)
    captions = parts["caption"] if len(parts["caption"][0]) else parts["prompt"]
    synonyms = parts["synonym"]
    width = prompts.shape[1]
    try:
        return TextView(
            texts.names,
            unit(sums),
            captions[1],
            captions[0],
            synonyms[1].reshape(-1, width),
            synonyms[0],
        )
    except SelectionError:
        return None


def _vectors(rows: pl.DataFrame) -> np.ndarray:
    """Stored vectors as (rows, D) of length 1."""
    values = rows["vector"].explode(empty_as_null=False).to_numpy().astype(float)
    return unit(values.reshape(rows.height, -1))


def _image_vectors(evidence: Evidence) -> dict[tuple[str, ModelKey], _Embedded]:
    """Output embeddings by task and model; none where they are of a block."""
    if not evidence.has_output_embeddings:
        return {}
    found = {}
    for key, task, rows in _split_by_cell(evidence.read("embedding").measured):
        ids = rows["image_id"].to_list()
        order = sorted(range(len(ids)), key=lambda place: (image_order(ids[place]), ids[place]))
        found[task, key] = _Embedded([ids[place] for place in order], _vectors(rows)[order])
    return found


def _gaps(
    view: TextView, images: _Embedded, labels: pl.DataFrame, numbers: np.ndarray
) -> np.ndarray:
    """Mean image vector of each class minus its text vector; NaN without a labelled image."""
    label_of = dict(labels.select("image_id", "label").iter_rows())
    known = [
        (place, label_of[name])
        for place, name in enumerate(images.image_ids)
        if label_of.get(name, -1) >= 0
    ]
    sums, counts = np.zeros(view.classes.shape), np.zeros(len(view.names))
    if known:
        places, found = np.array(known).T
        np.add.at(sums, numbers[found], images.vectors[places])
        np.add.at(counts, numbers[found], 1.0)
    means = sums / np.where(counts > 0, counts, np.nan)[:, None]
    return means - view.classes


def _class_accuracies(evidence: Evidence) -> dict[tuple[str, ModelKey], np.ndarray]:
    """Share of hits on each class, by task and model; NaN without a labelled image."""
    found = {}
    for key, task, rows in _split_by_cell(evidence.labelled):
        texts = evidence.catalogued.texts.get(task)
        if texts is None:
            continue
        numbers = np.array(texts.class_numbers)
        inside = rows.filter(pl.col("label") >= 0)
        label, answer = (numbers[inside[name].to_numpy()] for name in ("label", "argmax"))
        n_images = np.bincount(label, minlength=len(texts.names)).astype(float)
        right = np.bincount(label[label == answer], minlength=len(texts.names))
        found[task, key] = right / np.where(n_images > 0, n_images, np.nan)
    return found
