"""One-coin Dawid-Skene: each model is right with its own probability, whatever the class."""

from typing import NamedTuple

import numpy as np

from vlmsel.selection.estimators.answers import (
    FAILED,
    check_answers,
    look_up_answers,
    mean_over_images,
    vote_counts,
)
from vlmsel.selection.estimators.vote import vote

ROUNDS, CHANGE = 100, 1e-6


class OneCoin(NamedTuple):
    """Beliefs of the model.

    Attributes:
        accuracy: (models,).
        classes: (images, classes), probability of each class.
    """

    accuracy: np.ndarray
    classes: np.ndarray


def one_coin(answers: np.ndarray, n_classes: int, *, votes: np.ndarray | None = None) -> OneCoin:
    """Fit by expectation-maximisation, from the `vote` scores on.

    Log weight of a model ln(acc (K - 1) / (1 - acc)); q_ik = softmax_k(ln pi_k + sum of the log
    weights of the models that answer k); pi_k = (sum_i q_ik + 1) / (N + K); acc = mean_i
    q_i,answer.

    Args:
        answers: (models, images), see `check_answers`.
        n_classes: number of classes, K.
        votes: (models,), factors of the log weights.
    """
    from scipy.special import softmax

    table, weight = check_answers(answers, n_classes, votes)
    answered = table != FAILED
    start = vote(table, n_classes, votes=weight)
    accuracy = np.clip(np.nan_to_num(start, nan=1.05 / n_classes), 1.05 / n_classes, 0.98)
    pi = np.full(n_classes, 1 / n_classes)
    classes = np.full((table.shape[1], n_classes), 1 / n_classes)
    for _ in range(ROUNDS):
        sure = np.clip(accuracy, 0.001, 0.999)
        log_weight = weight * np.log(sure * (n_classes - 1) / (1 - sure))
        classes = softmax(np.log(pi) + vote_counts(table, log_weight, n_classes), axis=1)
        pi = (classes.sum(axis=0) + 1) / (table.shape[1] + n_classes)
        before, accuracy = accuracy, mean_over_images(look_up_answers(classes, table), answered)
        if not np.nanmax(np.abs(accuracy - before), initial=0.0) >= CHANGE:
            break
        accuracy = np.where(np.isfinite(accuracy), accuracy, before)
    return OneCoin(accuracy, classes)
