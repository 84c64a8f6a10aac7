import numpy as np
import pytest

from vlmsel.selection.estimators import nuclear_norm


def test_golden(probabilities):
    assert nuclear_norm(probabilities[0]) == pytest.approx(0.703372, abs=5e-7)
    assert nuclear_norm(probabilities[1]) == pytest.approx(0.491106, abs=5e-7)


def test_the_most_is_1():
    assert nuclear_norm(np.tile(np.eye(4), (5, 1))) == pytest.approx(1.0)
