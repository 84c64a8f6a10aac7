"""A small pool with softmax outputs, whose answers follow hidden classes."""

import numpy as np
import pytest

from vlmsel.selection.orders import Pool


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 3, 40)


@pytest.fixture(scope="session")
def pool(truth: np.ndarray) -> Pool:
    """Four models, 40 images, three classes; model 0 is the best, model 3 guesses."""
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(4, 40, 3))
    for model, skill in enumerate((3.0, 1.5, 1.0, 0.0)):
        logits[model, np.arange(40), truth] += skill
    p = np.exp(logits)
    p /= p.sum(axis=2, keepdims=True)
    return Pool(p.argmax(axis=2), 3, p)
