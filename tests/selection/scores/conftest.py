"""Digits, and what the scores say of them where the golden numbers are at hand."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.shared_data import DATA

GOLDEN = DATA / "golden_digits.json"


@pytest.fixture(scope="session")
def digits():
    """All rows of scikit-learn's digits over 16, and their labels."""
    data = load_digits()
    return data.data / 16, data.target


@pytest.fixture(scope="session")
def scored(digits):
    """The first 500 rows, which the golden numbers are of."""
    return digits[0][:500], digits[1][:500]


@pytest.fixture(scope="session")
def head(scored):
    """Probabilities and logits of a made-up source head with 12 classes."""
    columns, classes = np.arange(64) + 1, np.arange(12) + 1
    logits = scored[0] @ (2 * np.cos(np.outer(columns, classes)))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True), logits


@pytest.fixture(scope="session")
def golden():
    if not GOLDEN.exists():
        pytest.skip("the golden numbers lie beside the project, and are not here")
    return json.loads(GOLDEN.read_text())["golden"]


@pytest.fixture
def clouds():
    """A maker of labelled Gaussian clouds: features, labels."""

    def make(n_per_class, d, classes=5, *, scale=1.0, seed=0):
        random = np.random.default_rng(seed)
        labels = np.repeat(np.arange(classes), n_per_class)
        means = random.normal(size=(classes, d)) * scale
        return means[labels] + random.normal(size=(len(labels), d)), labels

    return make
