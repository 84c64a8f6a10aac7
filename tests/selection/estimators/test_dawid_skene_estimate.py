import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import dawid_skene


def test_it_finds_models_that_confuse_two_classes():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 3000)
    answers = np.stack([np.where(rng.random(3000) < 0.8, truth, (truth + 1) % 3) for _ in range(4)])
    # The fifth takes class 2 for class 1, always.
    answers = np.vstack([answers, np.where(truth == 2, 1, truth)[None]])
    found = dawid_skene(answers, 3)
    np.testing.assert_allclose(found, (answers == truth).mean(axis=1), atol=0.04)


def test_too_many_confusion_matrices():
    with pytest.raises(SelectionError, match="use one_coin"):
        dawid_skene(np.zeros((60, 2), dtype=int), 1000)
