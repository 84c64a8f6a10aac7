"""Expected agreement (soft vote): the probability that other models give a model's answers."""

import numpy as np

from vlmsel.errors import SelectionError


def expected_agreement(probabilities: np.ndarray) -> np.ndarray:
    """Return the mean, over images and the other models, of the probability of a model's answer.

    Args:
        probabilities: (models, images, classes); NaN where a prediction failed.

    Returns:
        (models,), 0..1; NaN for a model without an image that another one has.

    Raises:
        SelectionError: there are fewer than 2 models.
    """
    table = np.asarray(probabilities, dtype=float)
    if table.ndim != 3 or len(table) < 2:
        raise SelectionError("agreement needs the probabilities of 2 models or more")
    known = np.asarray(np.isfinite(table).all(axis=2))
    filled = np.where(known[..., None], table, 0.0)
    answers = filled.argmax(axis=2)
    total, n_others = filled.sum(axis=0), known.sum(axis=0)
    images = np.arange(table.shape[1])
    scores = np.full(len(table), np.nan)
    for m, answer in enumerate(answers):
        others = n_others - known[m]
        counted = known[m] & (others > 0)
        if counted.any():
            rest = (total - filled[m])[images, answer]
            scores[m] = (rest[counted] / others[counted]).mean()
    return scores
