import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import calibrated_confidence, confidence, fit_temperature


def test_golden(probabilities):
    assert confidence(probabilities[0]) == pytest.approx(0.7)
    assert confidence(probabilities[1]) == pytest.approx(0.5)


def test_the_temperature_of_a_model_that_is_too_sure_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5))
    labels = (logits + rng.gumbel(size=(4000, 5))).argmax(axis=1)
    found = fit_temperature([3 * logits[:2000], 3 * logits[2000:]], [labels[:2000], labels[2000:]])
    assert found == pytest.approx(3.0, rel=0.1)
    hit_rate = (logits.argmax(axis=1) == labels).mean()
    assert calibrated_confidence(3 * logits, found) == pytest.approx(hit_rate, abs=0.02)
    assert calibrated_confidence(3 * logits, 1.0) > hit_rate + 0.1


def test_a_temperature_needs_labels():
    with pytest.raises(SelectionError, match="one source task"):
        fit_temperature([], [])
    with pytest.raises(SelectionError, match="one label per image"):
        fit_temperature([np.zeros((2, 3))], [np.zeros(1, dtype=int)])
