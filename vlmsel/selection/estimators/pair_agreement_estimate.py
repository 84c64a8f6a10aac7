"""Pair agreement: how often a model gives the class of another one, mean over the others."""

import numpy as np

from vlmsel.selection.estimators.answers import (
    FAILED,
    check_answers,
    look_up_answers,
    mean_over_images,
    vote_counts,
)


def answer_shares(
    answers: np.ndarray, n_classes: int, *, votes: np.ndarray | None = None
) -> np.ndarray:
    """Return the share of the other voting models that give each answer.

    Args:
        answers: (models, images), see `check_answers`.
        n_classes: number of classes.
        votes: (models,), weights of the votes.

    Returns:
        (models, images); 0 for an answer outside the classes and where no other model votes, NaN
        where the model failed.
    """
    table, weight = check_answers(answers, n_classes, votes)
    answered = table != FAILED
    same = look_up_answers(vote_counts(table, weight, n_classes), table)
    same = same - np.where(table >= 0, weight[:, None], 0.0)
    others = weight @ answered - np.where(answered, weight[:, None], 0.0)
    share = np.where(others > 1e-9, same / np.where(others > 1e-9, others, 1.0), 0.0)
    return np.where(answered, share, np.nan)


def pair_agreement(
    answers: np.ndarray, n_classes: int, *, votes: np.ndarray | None = None
) -> np.ndarray:
    """Score each model by the mean of `answer_shares` over its images.

    Returns:
        (models,), 0..1; NaN for a model without any image.
    """
    share = answer_shares(answers, n_classes, votes=votes)
    return mean_over_images(share, np.isfinite(share))
