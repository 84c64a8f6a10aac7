import pytest

from vlmsel.selection.estimators import margin


def test_golden(probabilities):
    assert margin(probabilities[0]) == pytest.approx(0.533333, abs=5e-7)
    assert margin(probabilities[1]) == pytest.approx(0.183333, abs=5e-7)
