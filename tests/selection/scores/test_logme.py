"""LogME against evidence computed the long way, and its floor."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from vlmsel.selection.scores.logme import CHUNK, logme, logme_floor


def _evidence(x, t, alpha, beta):
    """Log density of t under w ~ N(0, 1/alpha), noise 1/beta: an n x n Gaussian."""
    n = len(x)
    return multivariate_normal(np.zeros(n), np.eye(n) / beta + x @ x.T / alpha).logpdf(t) / n


@pytest.mark.parametrize("d", [3, 80])
def test_it_is_the_maximum_of_the_evidence(clouds, d):
    x, y = clouds(12, d, 3, scale=0.3)
    best = []
    for c in range(3):
        t = (y == c).astype(float)
        found = minimize(
            lambda p, t=t: -_evidence(x, t, *np.exp(p)), np.zeros(2), method="Nelder-Mead"
        )
        best.append(-found.fun)
    assert logme(x, y) == pytest.approx(np.mean(best), abs=2e-3)


def test_noise_lies_on_the_floor():
    random = np.random.default_rng(0)
    for classes, floor in ((10, -0.27), (20, 0.08)):
        y = np.repeat(np.arange(classes), 200)
        noise = random.normal(size=(len(y), 64))
        assert logme(noise, y) == pytest.approx(logme_floor(y), abs=0.02)
        assert logme_floor(y) == pytest.approx(floor, abs=0.01)


def test_ten_times_the_features_are_the_same(clouds):
    x, y = clouds(40, 6)
    assert logme(10 * x, y) == pytest.approx(logme(x, y), abs=1e-3)


def test_several_labels_an_image_are_the_mean_of_the_columns(clouds):
    x, y = clouds(10, 4, 3)
    matrix = np.eye(3)[y]
    assert logme(x, matrix, regression=True) == pytest.approx(logme(x, y))


def test_targets_in_chunks():
    random = np.random.default_rng(0)
    x, targets = random.normal(size=(20, 4)), random.normal(size=(20, CHUNK + 30))
    halves = [logme(x, part, regression=True) for part in np.split(targets, 2, axis=1)]
    assert logme(x, targets, regression=True) == pytest.approx(np.mean(halves))
