"""Vote of the others: how often a model agrees with what most other models answer."""

import numpy as np

from vlmsel.selection.estimators.answers import (
    FAILED,
    check_answers,
    look_up_answers,
    mean_over_images,
    vote_counts,
)


def vote(answers: np.ndarray, n_classes: int, *, votes: np.ndarray | None = None) -> np.ndarray:
    """Score each model by the plurality of the other models, itself left out.

    The mean over images of 1 / (number of tied winners) where the model's class is among the
    winners, else 0.

    Args:
        answers: (models, images), see `check_answers`.
        n_classes: number of classes.
        votes: (models,), weights of the votes.

    Returns:
        (models,), 0..1; NaN for a model without an image on which another one votes.
    """
    table, weight = check_answers(answers, n_classes, votes)
    counts = vote_counts(table, weight, n_classes)
    scores = np.full(len(table), np.nan)
    for m, answer in enumerate(table):
        others = counts - vote_counts(answer[None], weight[m : m + 1], n_classes)
        most = others.max(axis=1, keepdims=True)
        # Sums of weights in another order differ in the last digits.
        wins = (others >= most - 1e-9) & (most > 1e-9)
        share = wins / np.maximum(wins.sum(axis=1, keepdims=True), 1)
        counted = (answer != FAILED) & wins.any(axis=1)
        scores[m] = mean_over_images(look_up_answers(share, answer[None]), counted[None])[0]
    return scores
