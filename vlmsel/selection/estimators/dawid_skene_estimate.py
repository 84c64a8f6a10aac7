"""Full Dawid-Skene: each model has a confusion matrix of its own."""

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import (
    FAILED,
    check_answers,
    look_up_answers,
    mean_over_images,
    vote_counts,
)

ROUNDS, CHANGE = 100, 1e-6
# Cells of all confusion matrices together.
MOST_CELLS = 50_000_000


def dawid_skene(
    answers: np.ndarray, n_classes: int, *, votes: np.ndarray | None = None
) -> np.ndarray:
    """Fit classes and confusion matrices by expectation-maximisation, from the vote shares on.

    Confusion matrices have 1 added on the diagonal and 1 / K elsewhere. An answer outside the
    classes says nothing of the class.

    Args:
        answers: (models, images), see `check_answers`.
        n_classes: number of classes, K.
        votes: (models,), factors of the log likelihoods.

    Returns:
        (models,), mean probability of the model's answers; NaN without any image.

    Raises:
        SelectionError: the confusion matrices would not fit into memory; use `one_coin`.
    """
    from scipy.special import softmax

    table, weight = check_answers(answers, n_classes, votes)
    if len(table) * n_classes**2 > MOST_CELLS:
        raise SelectionError(
            f"{len(table)} confusion matrices of {n_classes} classes are too many; use one_coin"
        )
    answered = table != FAILED
    counts = vote_counts(table, weight, n_classes) + 1 / n_classes
    classes = counts / counts.sum(axis=1, keepdims=True)
    accuracy = mean_over_images(look_up_answers(classes, table), answered)
    smooth = np.full((n_classes, n_classes), 1 / n_classes)
    np.fill_diagonal(smooth, 1.0)
    for _ in range(ROUNDS):
        pi = (classes.sum(axis=0) + 1) / (table.shape[1] + n_classes)
        logit = np.tile(np.log(pi), (table.shape[1], 1))
        for m, answer in enumerate(table):
            images = np.flatnonzero(answer >= 0)
            confusion = smooth.copy()
            np.add.at(confusion.T, answer[images], classes[images])
            confusion /= confusion.sum(axis=1, keepdims=True)
            logit[images] += weight[m] * np.log(confusion[:, answer[images]]).T
        classes = softmax(logit, axis=1)
        before, accuracy = accuracy, mean_over_images(look_up_answers(classes, table), answered)
        if not np.nanmax(np.abs(accuracy - before), initial=0.0) >= CHANGE:
            break
    return accuracy
