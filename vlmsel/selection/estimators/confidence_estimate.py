"""Confidence: the mean probability of the answer, in its own or a calibrated temperature."""

from collections.abc import Sequence

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.probabilities import drop_failed_images

HOTTEST, COLDEST = 100.0, 0.01


def confidence(probabilities: np.ndarray) -> float:
    """Return the mean over images of the largest probability.

    Args:
        probabilities: (images, classes).
    """
    return float(drop_failed_images(probabilities).max(axis=1).mean())


def calibrated_confidence(logits: np.ndarray, temperature: float) -> float:
    """Return the confidence of softmax(logits / temperature).

    Args:
        logits: (images, classes), in the model's own temperature.
        temperature: of `fit_temperature`.
    """
    from scipy.special import softmax

    return confidence(softmax(np.asarray(logits, dtype=float) / temperature, axis=1))


def fit_temperature(logits: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
    """Fit one temperature of a model to labelled source tasks, all of the same weight.

    It minimises the mean over the tasks of the mean negative log likelihood of the labels, between
    0.01 and 100.

    Args:
        logits: one (images, classes) a task.
        labels: one (images,) a task, class numbers.

    Raises:
        SelectionError: there is no labelled task, or the lengths differ.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if not logits or len(logits) != len(labels):
        raise SelectionError("a temperature needs logits and labels of at least one source task")
    tables = [np.asarray(table, dtype=float) for table in logits]
    truths = [np.asarray(truth) for truth in labels]
    if any(len(z) != len(t) or not len(t) for z, t in zip(tables, truths, strict=True)):
        raise SelectionError("every source task needs one label per image, and at least one image")

    def loss(log_temperature: float) -> float:
        t = np.exp(log_temperature)
        parts = (
            -log_softmax(z / t, axis=1)[np.arange(len(truth)), truth].mean()
            for z, truth in zip(tables, truths, strict=True)
        )
        return float(np.mean(list(parts)))

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
