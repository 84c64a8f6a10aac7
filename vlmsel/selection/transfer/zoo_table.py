"""The scores of a zoo for one task: value, floor, place, and the probe beside them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.ranking import TIE_DECIMALS
from vlmsel.selection.scores.support.label_groups import check_features
from vlmsel.selection.transfer.gates import refuse_chance_like
from vlmsel.selection.transfer.labelled_task import LabelledTask, labelled_task
from vlmsel.selection.transfer.model_inputs import ModelInputs, model_inputs
from vlmsel.selection.transfer.score_catalog import Estimator, Value, find_estimator

DEFAULT_ESTIMATORS = ("logme", "probe")
# So many models of one best value are no ranking.
MOST_AT_THE_TOP = 2
SCHEMA = {
    "estimator": pl.String,
    **dict.fromkeys(MODEL, pl.String),
    "value": pl.Float64,
    "floor": pl.Float64,
    "place": pl.Float64,
    "n_ranked": pl.Int64,
    "probe_accuracy": pl.Float64,
    "zero_shot_accuracy": pl.Float64,
    "dimensions": pl.Int64,
    "also": pl.String,
    "reason": pl.String,
}

Load = Callable[[], Any]
"""Loads (n, d) features when a model's turn comes: a zoo's need not fit into memory at once."""


@dataclass(frozen=True)
class ZooScores:
    """Scores of a zoo.

    Attributes:
        table: one row per estimator and model: value and floor (null where it means nothing),
            place (1 = best; null where the estimator does not rank the model), n_ranked,
            probe_accuracy and zero_shot_accuracy (null where unknown), dimensions, also (further
            terms), reason (why there is no value or no place). Values compare models of this task
            alone.
        left_out: model, pretrained, reason of models without features to score.
        notes: what of the task was left out, a line each.
        is_normalised: whether rows were scaled to length 1.
    """

    table: pl.DataFrame
    left_out: pl.DataFrame
    notes: tuple[str, ...]
    is_normalised: bool

    def ranking(self, estimator: str) -> pl.DataFrame:
        """Return the rows of one estimator that have a place, best first; none if it ranks none."""
        rows = self.table.filter(pl.col("estimator") == estimator, pl.col("place").is_not_null())
        return rows.sort("place", *MODEL)


@dataclass(frozen=True)
class ScoredCell:
    """One estimator on one model.

    Attributes:
        value: None where there is none.
        floor: what features that say nothing would score; None where that means nothing.
        reason: why there is no value, or why it ranks nothing.
    """

    value: Value | None
    floor: float | None
    reason: str | None


@dataclass(frozen=True)
class ScoredModel:
    """All estimators on one model, by name, beside the probe and the zero-shot classifier."""

    key: ModelKey
    cells: Mapping[str, ScoredCell]
    dimensions: int
    probe_accuracy: float | None
    zero_shot_accuracy: float | None


def score_zoo(
    zoo: Mapping[ModelKey, Any],
    labels: Any,
    *,
    images: Any = None,
    classes: Sequence[Any] | None = None,
    estimators: Iterable[str] = DEFAULT_ESTIMATORS,
    heads: Mapping[ModelKey, Any] | None = None,
    zero_shot: Mapping[ModelKey, Any] | None = None,
    options: "ScoreOptions | None" = None,
) -> ZooScores:
    """Score a zoo's features of one task's labelled images.

    Args:
        zoo: (n, d) features of each model, the same images in the same order, or a function that
            loads them.
        labels: (n,) class of each image; None where unknown.
        images: (n,) identities such as sha256: copies of one lie on one side of every split.
        classes: all classes of the task, in the order of zero-shot columns.
        estimators: names of `ESTIMATORS`.
        heads: (n, source classes) probabilities, for LEEP and NCE; one vocabulary for all models.
        zero_shot: (n, classes of the task) probabilities.
        options: normalisation, seed, threads.

    Raises:
        SelectionError: labels are no classes, a name is unknown, or no model can be scored.
    """
    chosen = {name: find_estimator(name) for name in dict.fromkeys(estimators)}
    if not zoo or not chosen:
        raise SelectionError(f"{len(zoo)} models and {len(chosen)} scores: nothing to score")
    settings = options or ScoreOptions()
    task = labelled_task(labels, images=images, classes=classes)
    n = len(np.asarray(labels))

    def score(key: ModelKey) -> ScoredModel | str:
        try:
            inputs = model_inputs(
                _load(zoo[key], n, "features"),
                task,
                head=_load_optional(heads, key, n, "head"),
                zero_shot_head=_load_optional(zero_shot, key, n, "zero-shot"),
                normalise=settings.normalise,
                seed=settings.seed,
            )
            return score_model(key, inputs, chosen)
        except SelectionError as error:
            return str(error)

    with ThreadPoolExecutor(settings.threads) as pool:
        found = dict(zip(zoo, pool.map(score, zoo), strict=True))
    rows = [row for row in found.values() if isinstance(row, ScoredModel)]
    left_out = [(*key, why) for key, why in found.items() if isinstance(why, str)]
    if not rows:
        raise SelectionError(f"no model can be scored: {left_out[0][-1]}")
    parts = [estimator_column(name, estimator, rows) for name, estimator in chosen.items()]
    unscored = pl.DataFrame(
        left_out, schema=dict.fromkeys([*MODEL, "reason"], pl.String), orient="row"
    )
    return ZooScores(pl.concat(parts), unscored, _notes(task), settings.normalise)


@dataclass(frozen=True)
class ScoreOptions:
    """Settings of the scoring of a zoo.

    Attributes:
        normalise: scale rows to length 1, as the embeddings of CLIP models are compared.
        seed: of folds, draws and shuffled labels; the same for all models.
        threads: models scored at a time; memory grows with it.
    """

    normalise: bool = True
    seed: int = 0
    threads: int = 1


def _notes(task: LabelledTask) -> tuple[str, ...]:
    groups = task.groups
    first = (
        f"{len(task.rows)} labelled images of {groups.n_classes} classes, {groups.smallest} in the "
        "smallest"
    )
    return (first, *task.notes)


def _load_optional(
    given: Mapping[ModelKey, Any] | None, key: ModelKey, n: int, what: str
) -> np.ndarray | None:
    if given is None or key not in given:
        return None
    return _load(given[key], n, what)


def _load(given: Any, n: int, what: str) -> np.ndarray:
    rows = check_features(given() if callable(given) else given)
    if len(rows) != n:
        raise SelectionError(f"{len(rows)} rows of {what} for {n} labels; give one row per label")
    return rows


def score_model(key: ModelKey, inputs: ModelInputs, chosen: Mapping[str, Estimator]) -> ScoredModel:
    """Score one model; what another model does is no part of it."""
    shuffled = inputs.shuffle_labels()
    cells = {name: _cell(estimator, inputs, shuffled) for name, estimator in chosen.items()}
    beside = _cell(find_estimator("probe"), inputs, shuffled).value
    zero_shot = None if inputs.zero_shot_head is None else inputs.zero_shot.accuracy
    accuracy = None if beside is None else beside.score
    return ScoredModel(key, cells, inputs.sizes.d, accuracy, zero_shot)


def _cell(estimator: Estimator, inputs: ModelInputs, shuffled: ModelInputs) -> ScoredCell:
    have = {"features": True, "head": inputs.head, "zero-shot": inputs.zero_shot_head}
    if have[estimator.needs] is None:
        return ScoredCell(
            None, None, f"it needs {estimator.needs} probabilities, this model has none"
        )
    refused = estimator.gate(inputs.sizes)
    if refused is not None:
        return ScoredCell(None, None, refused)
    try:
        value = estimator.function(inputs)
        floor = _floor(estimator, inputs, shuffled)
    except SelectionError as error:
        return ScoredCell(None, None, str(error))
    reason = None
    if estimator.ceiling is not None and floor is not None:
        classes = inputs.groups.n_classes
        # What says nothing reaches 0, or the chance of naming a class.
        chance = 0.0 if estimator.ceiling(classes) > 1 else float(inputs.groups.priors.max())
        reason = refuse_chance_like(floor, chance, estimator.ceiling(classes))
    # A floor of a term is none of the combined score.
    return ScoredCell(value, None if estimator.combine else floor, reason)


def _floor(estimator: Estimator, inputs: ModelInputs, shuffled: ModelInputs) -> float | None:
    if estimator.floor is not None:
        return estimator.floor(inputs)
    if estimator.combine is not None and estimator.ceiling is None:
        return None
    found = estimator.function(shuffled)
    return found.score if found.judged is None else found.judged


def estimator_column(name: str, estimator: Estimator, rows: Sequence[ScoredModel]) -> pl.DataFrame:
    """Lay out the rows of one estimator over a zoo, with places; columns as `SCHEMA`."""
    cells = [row.cells[name] for row in rows]
    ranked = np.array([cell.value is not None and cell.reason is None for cell in cells])
    score = np.array([np.nan if cell.value is None else cell.value.score for cell in cells])
    if estimator.combine is not None and ranked.any():
        terms = [
            cell.value.terms for cell, is_ranked in zip(cells, ranked, strict=True)
            if is_ranked and cell.value is not None
        ]  # fmt: skip
        score[ranked] = estimator.combine(terms)
    ranked &= np.isfinite(score)
    tie_break = np.array([0.0 if cell.value is None else cell.value.tie_break for cell in cells])
    whole = _explain_unranked(estimator, rows, ranked, score, tie_break)
    place = np.full(len(rows), np.nan)
    if whole is None:
        place[ranked] = _places(score[ranked], tie_break[ranked])
    reasons = [
        cell.reason if cell.reason is not None else whole if is_ranked else "no value"
        for cell, is_ranked in zip(cells, ranked, strict=True)
    ]
    table = pl.DataFrame(
        {
            "estimator": [name] * len(rows),
            **{part: [row.key[i] for row in rows] for i, part in enumerate(MODEL)},
            "value": score,
            "floor": [cell.floor for cell in cells],
            "place": place,
            "n_ranked": [int(np.isfinite(place).sum())] * len(rows),
            "probe_accuracy": [row.probe_accuracy for row in rows],
            "zero_shot_accuracy": [row.zero_shot_accuracy for row in rows],
            "dimensions": [row.dimensions for row in rows],
            "also": [None if cell.value is None else cell.value.also or None for cell in cells],
            "reason": reasons,
        },
        schema=SCHEMA,
    )
    return table.with_columns(pl.col("value", "place").fill_nan(None))


def _explain_unranked(
    estimator: Estimator,
    rows: Sequence[ScoredModel],
    ranked: np.ndarray,
    score: np.ndarray,
    tie_break: np.ndarray,
) -> str | None:
    """Say why a whole column ranks nothing, if it does not."""
    dimensions = {row.dimensions for row, is_ranked in zip(rows, ranked, strict=True) if is_ranked}
    if estimator.has_one_dimension and len(dimensions) > 1:
        return (
            "it depends on the dimension, so it ranks models of one dimension only; these have "
            f"{', '.join(str(d) for d in sorted(dimensions))}"
        )
    if ranked.sum() < 2:
        return None
    pairs = np.round(np.stack([score[ranked], tie_break[ranked]]), TIE_DECIMALS)
    best = pairs[:, np.lexsort((pairs[1], pairs[0]))[-1]]
    top = int((pairs == best[:, None]).all(axis=0).sum())
    if top == ranked.sum():
        return f"all {top} models have one value: it tells nothing apart"
    if top > MOST_AT_THE_TOP:
        return f"{top} of {ranked.sum()} models tie at the top: it has no first choice"
    return None


def _places(score: np.ndarray, tie_break: np.ndarray) -> np.ndarray:
    """1 = best; models of equal score and tie break share the mean of their places."""
    from scipy.stats import rankdata

    pairs = np.round(np.stack([score, tie_break], axis=1), TIE_DECIMALS)
    _, order = np.unique(pairs, axis=0, return_inverse=True)
    return rankdata(-order.ravel())
