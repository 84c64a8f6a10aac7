"""Answers of a zoo: (models, images) of class numbers, and the counts made of them."""

import numpy as np

from vlmsel.errors import SelectionError

# An answer that is none of the classes agrees with nobody; a prediction that failed is none.
OUTSIDE, FAILED = -1, -2


def check_answers(
    answers: np.ndarray, n_classes: int, votes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Check answers and the votes of the models.

    Args:
        answers: (models, images), whole numbers of 0 to `n_classes` - 1, `OUTSIDE` or `FAILED`.
        n_classes: at least 2.
        votes: (models,), how much each model's answer counts for the others; 1 each when None. 0
            for a near-duplicate of a model that votes, 1 / k for each of k fine-tunes of one
            checkpoint.

    Raises:
        SelectionError: an answer or a vote is impossible.
    """
    table = np.asarray(answers)
    if n_classes < 2:
        raise SelectionError(f"agreement means nothing with {n_classes} class(es); give 2 or more")
    if table.ndim != 2 or not np.issubdtype(table.dtype, np.integer):
        raise SelectionError("answers must be whole class numbers, (models, images)")
    if table.size and (table.min() < FAILED or table.max() >= n_classes):
        raise SelectionError(
            f"answers must be {FAILED} to {n_classes - 1}, found {table.min()} to {table.max()}"
        )
    weight = np.ones(len(table)) if votes is None else np.asarray(votes, dtype=float)
    if weight.shape != table.shape[:1] or not (np.isfinite(weight) & (weight >= 0)).all():
        raise SelectionError("votes must be one number of at least 0 a model")
    return table, weight


def vote_counts(answers: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the summed weights of each answer on each image, (images, classes).

    Args:
        answers: (models, images).
        weights: (models,), what each model's answer adds.
        n_classes: number of classes.
    """
    counts = np.zeros((answers.shape[1], n_classes))
    models, images = np.nonzero(answers >= 0)
    np.add.at(counts, (images, answers[models, images]), weights[models])
    return counts


def look_up_answers(table: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Look (images, classes) up at each answer: (models, images), 0 where there is no class."""
    picked = table[np.arange(answers.shape[1])[None], np.maximum(answers, 0)]
    return np.where(answers >= 0, picked, 0.0)


def mean_over_images(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Mean of each row over the images that count; NaN where none does."""
    n = counted.sum(axis=1)
    total = np.where(counted, values, 0.0).sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
