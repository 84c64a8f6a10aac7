"""H-score against the formula written out."""

import numpy as np
import pytest

from vlmsel.selection.scores.hscore import hscore, hscore_shrunk


@pytest.mark.parametrize("d", [3, 20])
def test_the_formulas_written_out(clouds, d):
    from sklearn.covariance import ledoit_wolf

    x, y = clouds(12, d)
    centred = x - x.mean(axis=0)
    g = np.array([centred[y == c].mean(axis=0) for c in y])
    assert hscore(x, y) == pytest.approx(np.trace(np.linalg.pinv(centred.T @ centred) @ g.T @ g))
    s, a = ledoit_wolf(centred, assume_centered=False)
    between = np.cov(g, rowvar=False)
    expected = np.trace(np.linalg.inv(s) @ between) * (1 - a)
    assert hscore_shrunk(x, y) == pytest.approx(expected)


def test_noise_saturates_one_and_not_the_other():
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 60)
    noise = random.normal(size=(300, 400))
    assert hscore(noise, y) == pytest.approx(4)
    assert hscore_shrunk(noise, y) < 0.2


def test_very_wide_noise_saturates_the_shrunk_one_as_well():
    """Reason why its gate looks at shuffled labels, too."""
    y = np.repeat(np.arange(5), 4)
    noise = np.random.default_rng(0).normal(size=(20, 4000))
    assert hscore_shrunk(noise, y) > 3
