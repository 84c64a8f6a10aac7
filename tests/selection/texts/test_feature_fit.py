"""The regression recovers known coefficients, and leaves out what nobody knows."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.texts.feature_fit import fit_features


@pytest.fixture
def table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (models, tasks, F) of mean 0 on each task, coefficients, and accuracies."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(9, 5, 3))
    features -= features.mean(axis=0)
    coefficients = np.array([0.05, -0.03, 0.01])
    # Each task has a level of its own, which the task's mean takes away.
    accuracy = features @ coefficients + np.array([0.2, 0.4, 0.6, 0.8, 0.5])
    return features, coefficients, accuracy


def test_known_coefficients_are_recovered(table):
    features, coefficients, accuracy = table
    fit = fit_features(features, accuracy)
    np.testing.assert_allclose(fit.coefficients, coefficients, atol=1e-12)
    assert fit.intercept == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(fit.predict(features[:, 0]), accuracy[:, 0] - 0.2, atol=1e-12)


def test_a_task_left_out_is_predicted_by_the_others(table):
    features, coefficients, accuracy = table
    fit = fit_features(features[:, 1:], accuracy[:, 1:])
    np.testing.assert_allclose(fit.predict(features[:, 0]), features[:, 0] @ coefficients)


def test_unknown_and_constant_features_are_not_used(table):
    features, coefficients, accuracy = table
    wide = np.concatenate([features, np.full((9, 5, 1), np.nan), np.ones((9, 5, 1))], axis=2)
    wide[2, 3] = np.nan
    fit = fit_features(wide, accuracy)
    assert fit.used.tolist() == [True, True, True, False, False]
    # The row without features is left out of the fit, and stays in the mean of its task.
    np.testing.assert_allclose(fit.coefficients[:3], coefficients, atol=1e-3)
    only = fit_features(wide, accuracy, usable=np.array([True, False, False, True, True]))
    assert only.used.tolist() == [True, False, False, False, False]


def test_too_few_pairs_are_refused(table):
    features, _, accuracy = table
    with pytest.raises(SelectionError, match="4 pairs of a model and a source task"):
        fit_features(features[:4, :1], accuracy[:4, :1])
    with pytest.raises(SelectionError, match="too few to fit 0 features"):
        fit_features(np.full((3, 2, 2), np.nan), np.ones((3, 2)))
