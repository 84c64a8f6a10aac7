"""Work of labels on one model and task: probes of all images and of a few, scores of a few.

The unit that is cached: a model, a task, and either all images or a number of images per class.
Results are plain values, which JSON holds without loss.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.evaluation.shots import LabelledImages, draw_shots, find_undrawn
from vlmsel.selection.scores.probe import probe_answers
from vlmsel.selection.transfer.gates import Sizes, limit_time
from vlmsel.selection.transfer.labelled_task import labelled_task
from vlmsel.selection.transfer.model_inputs import model_inputs
from vlmsel.selection.transfer.score_catalog import find_estimator
from vlmsel.selection.transfer.zoo_table import ScoredCell, score_model

ESTIMATORS = (
    "logme",
    "hscore",
    "hscore-shrunk",
    "knn",
    "probe",
    "probe-likelihood",
    "zero-shot",
    "zero-shot-likelihood",
)
HIT, MISS, UNKNOWN = "1", "0", "-"
# Fewer images than this share of a task do not stand for it.
LEAST_SHARE = 0.9
# Of a class, for one to be held out.
LEAST_IMAGES = 2


@dataclass(frozen=True)
class ProbeOptions:
    """Options for the use of labels.

    Attributes:
        shots: numbers of images per class.
        draws: draws of each number.
        seed: of draws and folds.
        estimators: scores of the drawn images; none that is combined over a zoo.
    """

    shots: tuple[int, ...] = ()
    draws: int = 3
    seed: int = 0
    estimators: tuple[str, ...] = ESTIMATORS

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn or kept."""
        if self.draws < 1 or any(shots < 1 for shots in self.shots):
            raise SelectionError("numbers of shots and of draws must be 1 or more")
        for name in self.estimators:
            if find_estimator(name).combine is not None:
                raise SelectionError(
                    f"score {name} is one of a whole zoo and no model's own: it cannot be judged "
                    "by probes here"
                )


@dataclass(frozen=True)
class ShotResult:
    """One draw.

    Attributes:
        accuracy: of a probe of the drawn images, on the images that are not drawn.
        n_images: that it was judged on.
        hits: held-out answers on the drawn images, one character each; empty where none can be
            held out.
        zero_shot_hits: zero-shot answers on the drawn images, likewise.
        cells: value, tie break, floor and reason of each score by name.
    """

    accuracy: float
    n_images: int
    hits: str
    zero_shot_hits: str
    cells: dict[str, tuple[float | None, float, float | None, str | None]]


@dataclass(frozen=True)
class ProbeResult:
    """All that is kept of one unit.

    Attributes:
        hits: held-out answers of a probe of all images, in the order of `LabelledImages`; for all
            images alone.
        zero_shot_hits: zero-shot answers, likewise; empty where there are none.
        draws: for a number of shots alone.
        dimensions: of the model's embeddings.
        reason: why there is no result.
    """

    hits: str = ""
    zero_shot_hits: str = ""
    draws: tuple[ShotResult, ...] = ()
    dimensions: int = 0
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values for a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Any) -> "ProbeResult":
        """Read what `as_json` wrote.

        Raises:
            TypeError, KeyError: it is something else.
        """
        draws = tuple(
            ShotResult(**{**draw, "cells": {name: tuple(v) for name, v in draw["cells"].items()}})
            for draw in found["draws"]
        )
        return cls(**{**found, "draws": draws})


def probe_unit(
    vectors: np.ndarray,
    zero_shot: np.ndarray | None,
    images: LabelledImages,
    shots: int | None,
    options: ProbeOptions,
) -> ProbeResult:
    """Compute one unit; what cannot be is said in its reason.

    Args:
        vectors: (n, d) of one model, in the order of `images`; rows of NaN where an image has none.
        zero_shot: (n, classes) probabilities, NaN likewise; None where there are none.
        images: the labelled images.
        shots: images per class; None for all.
        options: draws and scores.
    """
    known = np.asarray(np.isfinite(vectors).all(axis=1))
    if known.mean() < LEAST_SHARE:
        reason = f"{int(known.sum())} of {len(known)} labelled images have an embedding"
        return ProbeResult(reason=reason)
    n_classes = len(np.unique(images.codes))
    refused = limit_time(Sizes(len(vectors), vectors.shape[1], n_classes, images.smallest))
    if refused is not None:
        return ProbeResult(reason=refused)
    try:
        if shots is None:
            return _all_images(vectors, zero_shot, images, known, options)
        rows = [draw_shots(images, shots, i, seed=options.seed) for i in range(options.draws)]
        draws = [_score_draw(vectors, zero_shot, images, known, drawn, options) for drawn in rows]
        return ProbeResult(draws=tuple(draws), dimensions=vectors.shape[1])
    except SelectionError as error:
        return ProbeResult(reason=str(error))


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def to_text(hits: np.ndarray) -> str:
    """Write hits (1, 0, NaN) as one character each."""
    return "".join(UNKNOWN if np.isnan(hit) else HIT if hit else MISS for hit in hits)


def from_text(text: str) -> np.ndarray:
    """Read what `to_text` wrote."""
    values = {HIT: 1.0, MISS: 0.0, UNKNOWN: np.nan}
    return np.array([values[letter] for letter in text], dtype=float)


def _all_images(
    vectors: np.ndarray,
    zero_shot: np.ndarray | None,
    images: LabelledImages,
    known: np.ndarray,
    options: ProbeOptions,
) -> ProbeResult:
    found = probe_answers(
        unit_length(vectors[known]),
        images.codes[known],
        standardise=True,
        seed=options.seed,
        images=images.copies[known],
    )
    hits = np.full(len(known), np.nan)
    hits[known] = found.hits
    answered = "" if zero_shot is None else to_text(_zero_shot_hits(zero_shot, images.codes))
    return ProbeResult(to_text(hits), answered, dimensions=vectors.shape[1])


def _score_draw(
    vectors: np.ndarray,
    zero_shot: np.ndarray | None,
    images: LabelledImages,
    known: np.ndarray,
    drawn: np.ndarray,
    options: ProbeOptions,
) -> ShotResult:
    """Score the drawn images, and judge a probe of them on the others."""
    others = find_undrawn(images, drawn)
    training, judged = drawn[known[drawn]], others[known[others]]
    rows = np.concatenate([training, judged])
    held_out = np.arange(len(rows)) >= len(training)
    test = probe_answers(
        unit_length(vectors[rows]), images.codes[rows], standardise=True, held_out=held_out
    ).summary
    hits, cells = _scores(vectors, zero_shot, images, training, options)
    shown = np.full(len(drawn), np.nan)
    if hits is not None:
        shown[known[drawn]] = hits
    answered = ""
    if zero_shot is not None:
        answered = to_text(_zero_shot_hits(zero_shot[drawn], images.codes[drawn]))
    return ShotResult(
        test.accuracy, len(judged), "" if hits is None else to_text(shown), answered, cells
    )


def _scores(
    vectors: np.ndarray,
    zero_shot: np.ndarray | None,
    images: LabelledImages,
    rows: np.ndarray,
    options: ProbeOptions,
) -> tuple[np.ndarray | None, dict[str, tuple[float | None, float, float | None, str | None]]]:
    """Held-out hits of the rows where some can be held out, and the scores."""
    head = None if zero_shot is None or not np.isfinite(zero_shot[rows]).all() else zero_shot[rows]
    classes = None if head is None else list(range(head.shape[1]))
    task = labelled_task(images.codes[rows], images=images.copies[rows], classes=classes)
    inputs = model_inputs(vectors[rows], task, zero_shot_head=head, seed=options.seed)
    chosen = {name: find_estimator(name) for name in options.estimators}
    scored = score_model(("", ""), inputs, chosen)
    cells = {name: _unpack(cell) for name, cell in scored.cells.items()}
    if task.groups.smallest < LEAST_IMAGES:
        return None, cells
    hits = np.full(len(rows), np.nan)
    hits[task.rows] = inputs.probe_answers.hits
    return hits, cells


def _unpack(cell: ScoredCell) -> tuple[float | None, float, float | None, str | None]:
    if cell.value is None:
        return None, 0.0, cell.floor, cell.reason
    return cell.value.score, cell.value.tie_break, cell.floor, cell.reason


def _zero_shot_hits(probabilities: np.ndarray, codes: np.ndarray) -> np.ndarray:
    known = np.isfinite(probabilities).all(axis=1)
    hits = np.full(len(codes), np.nan)
    hits[known] = probabilities[known].argmax(axis=1) == codes[known]
    return hits


def accuracy_of(hits: np.ndarray, rows: Sequence[int] | np.ndarray | None = None) -> float:
    """Mean of the known hits, of some rows alone; NaN where none is known."""
    chosen = hits if rows is None else hits[rows]
    known = chosen[np.isfinite(chosen)]
    return float(known.mean()) if len(known) else float("nan")
