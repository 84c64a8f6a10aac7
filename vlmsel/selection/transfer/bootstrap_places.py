"""Intervals of places: the labelled images are resampled within their classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.ranking import TIE_DECIMALS
from vlmsel.selection.scores.support.decomposition import decompose
from vlmsel.selection.transfer.labelled_task import LabelledTask
from vlmsel.selection.transfer.model_inputs import ModelInputs
from vlmsel.selection.transfer.score_catalog import Estimator

LEVEL = 0.95
RESAMPLES = 100
PROBE, PROBE_LIKELIHOOD = "probe", "probe-likelihood"


def resampled_rows(task: LabelledTask, n_resamples: int, seed: int = 0) -> np.ndarray:
    """Draw images with replacement, as many of each class as there are; the same for all models.

    Returns:
        (n_resamples, n) positions among the task's rows.
    """
    rng = np.random.default_rng([seed, len(task.rows)])
    found = np.empty((n_resamples, len(task.rows)), dtype=np.int64)
    for name in range(task.groups.n_classes):
        members = np.flatnonzero(task.groups.codes == name)
        found[:, members] = members[rng.integers(len(members), size=(n_resamples, len(members)))]
    return found


def resampled_scores(
    inputs: ModelInputs, chosen: Mapping[str, Estimator], rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Score one model on every resample.

    Held-out answers of the probe and answers of the zero-shot classifier are resampled as they
    are; closed forms are computed anew, copies on one side of every split. Trained scores, and
    those of a whole zoo, have no resamples: training them so often takes too long.

    Returns:
        By name of the score, (n_resamples, 2): score and tie break, NaN where one has none.
    """
    found = {}
    for name, estimator in chosen.items():
        if estimator.combine is not None or estimator.gate(inputs.sizes) is not None:
            continue
        if name in (PROBE, PROBE_LIKELIHOOD):
            found[name] = _score_answers(inputs, name, rows)
        elif estimator.needs == "features" and estimator.cost == "closed form":
            found[name] = np.array([_score_rows(inputs, estimator, row) for row in rows])
        elif estimator.needs == "zero-shot" and inputs.zero_shot_head is not None:
            found[name] = _score_zero_shot(inputs, name, rows)
    return found


def place_intervals(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Return the 95 % interval of each model's place, rounded outwards.

    Args:
        scores: (n_resamples, 2) of each model; a resample that lacks a model does not count.

    Returns:
        (models, 2), low and high; NaN where no resample ranks all models.
    """
    from scipy.stats import rankdata

    stacked = np.round(np.stack(scores), TIE_DECIMALS)
    whole = np.isfinite(stacked).all(axis=(0, 2))
    if not whole.any():
        return np.full((len(scores), 2), np.nan)
    places = []
    for resample in np.flatnonzero(whole):
        _, order = np.unique(stacked[:, resample], axis=0, return_inverse=True)
        places.append(rankdata(-order.ravel()))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.array(places), [tail, 1 - tail], axis=0)
    return np.stack([np.floor(low), np.ceil(high)], axis=1)


def _score_answers(inputs: ModelInputs, name: str, rows: np.ndarray) -> np.ndarray:
    answers = inputs.probe_answers
    hits, likely = answers.hits[rows].mean(axis=1), answers.likely[rows].mean(axis=1)
    return np.stack([likely, likely] if name == PROBE_LIKELIHOOD else [hits, likely], axis=1)


def _score_zero_shot(inputs: ModelInputs, name: str, rows: np.ndarray) -> np.ndarray:
    head, columns = inputs.zero_shot_head, inputs.task.columns
    assert head is not None
    hits = (head.argmax(axis=1) == columns).astype(float)
    true = np.log(np.maximum(head[np.arange(len(columns)), columns], 1e-12))
    accuracy, likely = hits[rows].mean(axis=1), true[rows].mean(axis=1)
    return np.stack([accuracy if name == "zero-shot" else likely, likely], axis=1)


def _score_rows(inputs: ModelInputs, estimator: Estimator, row: np.ndarray) -> tuple[float, float]:
    """One score of resampled rows; NaN where they cannot be scored."""
    groups = inputs.groups.subset(row)
    task = LabelledTask(
        inputs.task.rows[row], groups, inputs.task.copies[row], inputs.task.columns[row], ()
    )
    features = inputs.features[row]
    again = ModelInputs(features, task, groups.codes, None, None, inputs.seed, decompose(features))
    try:
        value = estimator.function(again)
    except SelectionError:
        return np.nan, np.nan
    return value.score, value.tie_break
