"""Model Selector: a posterior over which model is best, narrowed by every label.

Karimi et al. 2021 (https://arxiv.org/abs/2010.09818), Okanovic et al. 2025
(https://arxiv.org/abs/2410.13609).
"""

import numpy as np

from vlmsel.selection.orders.pool import (
    Labelled,
    Pool,
    hits_on,
    pick_among_best,
    unlabelled,
)

# The chance that the best model is wrong; tuned by its authors to .35 to .49, set by set.
ERROR = 0.46


def model_posterior(pool: Pool, labelled: Labelled, *, error: float = ERROR) -> np.ndarray:
    """Probability of each model to be the best, (models,): proportional to ((1 - e) / e)^hits.

    Args:
        pool: answers.
        labelled: labels so far.
        error: e.
    """
    hits = np.nan_to_num(hits_on(pool, labelled)).sum(axis=0)
    raised = np.exp((hits - hits.max()) * np.log((1 - error) / error))
    return raised / raised.sum()


def expected_entropy(
    classes: np.ndarray, posterior: np.ndarray, n_classes: int, *, error: float = ERROR
) -> np.ndarray:
    """Entropy of the posterior after a label, mean over the classes, (images,).

    With r = (1 - e) / e, s the posterior mass of the models that answer a class and
    Z = 1 + (r - 1) s, the entropy after that label is ln Z - (T + (r - 1) t + r ln(r) s) / Z, where
    T and t are the sums of q ln q over all models and over those that answer the class.

    Args:
        classes: (models, images).
        posterior: (models,), q.
        n_classes: every class is taken as equally likely.
        error: e.
    """
    ratio = (1 - error) / error
    information = posterior * np.log(np.maximum(posterior, 1e-300))
    share = _sum_by_answer(classes, posterior, n_classes)
    part = _sum_by_answer(classes, information, n_classes)
    total = 1 + (ratio - 1) * share
    weighed = information.sum() + (ratio - 1) * part + ratio * np.log(ratio) * share
    return (np.log(total) - weighed / total).mean(axis=1)


def next_image(
    pool: Pool, labelled: Labelled, rng: np.random.Generator, *, error: float = ERROR
) -> int:
    """Pick the image whose label is expected to leave the least entropy; ties at random.

    Raises:
        SelectionError: all images are labelled.
    """
    rest = unlabelled(pool, labelled)
    posterior = model_posterior(pool, labelled, error=error)
    entropy = expected_entropy(pool.classes[:, rest], posterior, pool.n_classes, error=error)
    return int(rest[pick_among_best(-entropy, rng)])


def _sum_by_answer(classes: np.ndarray, values: np.ndarray, n_classes: int) -> np.ndarray:
    """Sum of a number of each model over the models that answer a class, (images, classes)."""
    sums = np.zeros((classes.shape[1], n_classes))
    models, images = np.nonzero(classes >= 0)
    np.add.at(sums, (images, classes[models, images]), values[models])
    return sums
