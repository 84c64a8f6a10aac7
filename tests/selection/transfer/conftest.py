"""Digits beside noise, and small clouds."""

import numpy as np
import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def digits_of():
    """A maker: so many digits a class, as pixels, and their labels."""
    data = load_digits()

    def make(per_class):
        rows = [np.flatnonzero(data.target == digit)[:per_class] for digit in range(10)]
        rows = np.concatenate(rows)
        return data.data[rows] / 16, data.target[rows]

    return make


@pytest.fixture(scope="session")
def clouds():
    """A maker of a zoo: models whose classes lie further and further apart, and the labels."""

    def make(per_class=12, d=6, classes=4, models=3):
        random = np.random.default_rng(0)
        labels = np.repeat(np.arange(classes), per_class)
        means, noise = random.normal(size=(classes, d)), random.normal(size=(len(labels), d))
        zoo = {(f"m{i}", "p"): means[labels] * (i + 1) + noise for i in range(models)}
        return zoo, labels

    return make
