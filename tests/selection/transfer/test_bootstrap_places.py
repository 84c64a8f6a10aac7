import numpy as np
import pytest

from vlmsel.selection.scores import logme
from vlmsel.selection.transfer.bootstrap_places import (
    place_intervals,
    resampled_rows,
    resampled_scores,
)
from vlmsel.selection.transfer.labelled_task import labelled_task
from vlmsel.selection.transfer.model_inputs import model_inputs
from vlmsel.selection.transfer.score_catalog import find_estimator

RNG = np.random.default_rng(3)
LABELS = np.repeat([0, 1, 2], [10, 12, 8])
TASK = labelled_task(LABELS)
FEATURES = RNG.normal(size=(30, 6)) + RNG.normal(size=(3, 6))[LABELS]
NAMES = ("logme", "knn", "probe", "probe-likelihood", "lda", "ncti")


def scored(features: np.ndarray, n: int = 20) -> dict[str, np.ndarray]:
    chosen = {name: find_estimator(name) for name in NAMES}
    return resampled_scores(model_inputs(features, TASK), chosen, resampled_rows(TASK, n))


def test_every_class_keeps_its_number_of_images():
    rows = resampled_rows(TASK, 5)
    assert rows.shape == (5, 30)
    assert all(np.bincount(LABELS[row]).tolist() == [10, 12, 8] for row in rows)
    assert np.array_equal(rows, resampled_rows(TASK, 5))
    assert not np.array_equal(rows, resampled_rows(TASK, 5, seed=1))


def test_a_closed_form_is_computed_anew_on_the_resampled_rows():
    found = scored(FEATURES)
    rows = resampled_rows(TASK, 20)
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    assert found["logme"][4, 0] == pytest.approx(logme(unit[rows[4]], LABELS[rows[4]]))


def test_answers_of_the_probe_are_resampled_as_they_are():
    inputs = model_inputs(FEATURES, TASK)
    rows = resampled_rows(TASK, 20)
    answers = inputs.probe_answers
    found = scored(FEATURES)
    assert found["probe"][7].tolist() == pytest.approx(
        [answers.hits[rows[7]].mean(), answers.likely[rows[7]].mean()]
    )
    assert found["probe-likelihood"][7, 0] == pytest.approx(answers.likely[rows[7]].mean())


def test_trained_scores_and_those_of_a_zoo_have_no_resamples():
    assert set(scored(FEATURES)) == {"logme", "knn", "probe", "probe-likelihood"}


def test_copies_in_a_resample_do_not_find_each_other():
    noise = RNG.normal(size=(30, 6))
    assert scored(noise, 40)["knn"][:, 0].mean() < 0.6


def test_intervals_hold_the_place_and_tell_clear_models_from_near_ones():
    near = [scored(FEATURES + 1e-3 * RNG.normal(size=FEATURES.shape))["logme"] for _ in range(2)]
    far = scored(RNG.normal(size=(30, 6)))["logme"]
    bounds = place_intervals([*near, far])
    assert bounds[2].tolist() == [3.0, 3.0]
    assert bounds[0, 0] == 1
    assert bounds[:2, 1].max() == 2


def test_no_interval_where_no_resample_ranks_all():
    assert np.isnan(place_intervals([np.full((4, 2), np.nan), np.ones((4, 2))])).all()
