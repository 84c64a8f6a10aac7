"""All folds at once end at scikit-learn's optimum."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vlmsel.selection.scores.support.logistic_folds import can_stack, fit_folds

RNG = np.random.default_rng(1)
CODES = np.arange(60) % 4
ROWS = RNG.normal(size=(60, 12)) * RNG.uniform(0.1, 5, 12) + RNG.normal(size=(4, 12))[CODES]
TRAININGS = [np.arange(48), np.arange(12, 60), np.arange(0, 60, 2)[:-3]]
# The last has classes 0 and 2 alone.
WHOLE = [*TRAININGS[:2], np.arange(8, 40)]


@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_each_fold_is_the_fit_of_scikit_learn(strength):
    found = fit_folds(ROWS, CODES, WHOLE, strength=strength, standardise=True)
    assert found.converged
    for fold, training in enumerate(WHOLE):
        mean, scale = ROWS[training].mean(axis=0), ROWS[training].std(axis=0)
        model = LogisticRegression(C=strength, max_iter=5000, tol=1e-9)
        model.fit((ROWS[training] - mean) / scale, CODES[training])
        expected = model.predict_proba((ROWS - mean) / scale)
        assert found.probabilities(fold, ROWS) == pytest.approx(expected, abs=2e-4)


def test_a_constant_column_is_no_fault():
    rows = np.concatenate([ROWS, np.ones((60, 1))], axis=1)
    found = fit_folds(rows, CODES, WHOLE, strength=1.0, standardise=True)
    plain = fit_folds(ROWS, CODES, WHOLE, strength=1.0, standardise=True)
    assert found.probabilities(0, rows) == pytest.approx(plain.probabilities(0, ROWS), abs=1e-4)


def test_only_small_folds_with_all_classes_are_stacked():
    assert can_stack(ROWS, CODES, WHOLE)
    assert not can_stack(ROWS, CODES, TRAININGS)
    assert not can_stack(np.zeros((10_000, 1_000)), np.zeros(10_000, dtype=int), [np.arange(9)])
