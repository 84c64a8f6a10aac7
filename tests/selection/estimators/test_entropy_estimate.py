import numpy as np
import pytest

from vlmsel.selection.estimators import negative_entropy


def test_golden(probabilities):
    assert negative_entropy(probabilities[0]) == pytest.approx(-0.79704, abs=5e-7)
    assert negative_entropy(probabilities[1]) == pytest.approx(-1.002709, abs=5e-7)


def test_a_sure_model_has_none():
    assert negative_entropy(np.eye(3)) == 0.0
