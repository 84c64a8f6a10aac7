"""GBC against pairs one by one."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.gbc import gbc


def _slow(x, y):
    total = 0.0
    for i in np.unique(y):
        for j in np.unique(y):
            if i == j:
                continue
            mean = x[y == i].mean(axis=0) - x[y == j].mean(axis=0)
            v1, v2 = (np.maximum(x[y == c].var(axis=0), 1e-4) for c in (i, j))
            v = (v1 + v2) / 2
            d = (mean**2 / v).sum() / 8 + 0.5 * np.log(v / np.sqrt(v1 * v2)).sum()
            total += np.exp(-d)
    return -total


def test_pairs_one_by_one_and_in_chunks(clouds):
    x, y = clouds(8, 6, scale=0.3)
    expected = _slow(x, y)
    assert gbc(x, y, covariance="diagonal", dimensions=None) == pytest.approx(expected)
    in_chunks = gbc(x, y, covariance="diagonal", dimensions=None, chunk=40)
    assert in_chunks == pytest.approx(expected)


def test_it_rises_with_the_distance_and_the_logarithm_tells_apart_what_rounds_to_zero(clouds):
    near, far = (clouds(8, 6, scale=scale) for scale in (100, 200))
    assert gbc(*near) == gbc(*far) == 0
    assert gbc(*near, log_scale=True) < gbc(*far, log_scale=True)


def test_identical_classes_overlap_wholly():
    x = np.tile(np.random.default_rng(0).normal(size=(6, 4)), (3, 1))
    assert gbc(x, np.repeat(np.arange(3), 6), dimensions=None) == pytest.approx(-6)


def test_unit_variance_frees_small_features_from_the_floor(clouds):
    x, y = clouds(8, 6)
    small = gbc(x / 1e4, y, unit_variance=True, log_scale=True)
    assert small == pytest.approx(gbc(x, y, unit_variance=True, log_scale=True))
    assert gbc(x / 1e4, y, log_scale=True) != pytest.approx(gbc(x, y, log_scale=True))


def test_no_dimensions_are_refused(clouds):
    with pytest.raises(SelectionError, match="0 dimensions"):
        gbc(*clouds(4, 3), dimensions=0)
