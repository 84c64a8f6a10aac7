"""Profiles carried from model to model."""

import numpy as np
import pytest

from vlmsel.selection.carried_profiles import mean_of_donors, mean_total, resample_depth


def test_profiles_on_relative_depth_by_hand():
    # Two blocks at depths 1/4 and 3/4; four at 1/8, 3/8, 5/8, 7/8.
    shapes = np.array([[[2.0, 4.0, 0.0, 0.0]], [[1.0, 2.0, 3.0, 5.0]]])
    found = resample_depth(shapes, np.array([2, 4]), n_depths=4)
    assert found[0, 0] == pytest.approx([2, 2.5, 3.5, 4])
    assert found[1, 0] == pytest.approx([1, 2, 3, 5])
    assert resample_depth(shapes, np.array([2, 4]), n_depths=2)[1, 0] == pytest.approx([1.5, 4])
    flat = np.full((1, 1, 7), 3.0)
    assert resample_depth(flat, np.array([7]), n_depths=12) == pytest.approx(np.full((1, 1, 12), 3))


def test_a_model_without_profiles_stays_unknown():
    shapes = np.array([[[np.nan, np.nan], [1.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]])
    found = resample_depth(shapes, np.array([2, 0]), n_depths=3)
    assert np.isnan(found[0, 0]).all()
    assert np.isfinite(found[0, 1]).all()
    assert np.isnan(found[1]).all()


def test_the_scale_of_a_model_is_its_mean_total():
    shapes = np.array([[[1.0, 3.0], [2.0, 6.0]], [[np.nan, np.nan], [1.0, 0.0]]])
    assert mean_total(shapes) == pytest.approx([6, 1])
    assert mean_total(np.full((1, 2, 2), np.nan)) == pytest.approx([1])


def test_the_mean_is_over_the_donors_that_know_the_task():
    shapes = np.array([[[1.0, 3.0], [2.0, 6.0]], [[np.nan, np.nan], [4.0, 2.0]]])
    assert mean_of_donors(shapes).tolist() == [[1, 3], [3, 4]]
    assert np.isnan(mean_of_donors(np.full((2, 1, 3), np.nan))).all()
