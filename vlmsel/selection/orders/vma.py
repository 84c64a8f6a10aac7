"""VMA: images are drawn in proportion to how much the models' expected losses on them differ.

The losses on what was drawn are weighted by LURE, so that comparisons of models stay unbiased
(Matsuura and Hara, "Active model selection: a variance minimization approach"; Farquhar et al.
2021, https://arxiv.org/abs/2101.11665).
"""

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.orders.pool import Labelled, Pool, hits_on, unlabelled


def disagreement(pool: Pool) -> np.ndarray:
    """Sum over pairs of models of the difference of their expected losses, (images,).

    The expected loss of a model on an image is 1 - p of its answer, with p the mean of the models'
    probabilities, or the share of their answers where only those are known.
    """
    belief = _mean_belief(pool)
    answers = pool.classes
    at_answer = belief[np.arange(pool.n_images)[None], np.maximum(answers, 0)]
    loss = np.sort(np.where(answers >= 0, 1 - at_answer, 1.0), axis=0)
    n_models = len(loss)
    # Each sorted loss enters as many differences with a plus as models lie below it.
    factors = 2 * np.arange(n_models) - (n_models - 1)
    return (factors[:, None] * loss).sum(axis=0)


def next_image(pool: Pool, labelled: Labelled, rng: np.random.Generator) -> int:
    """Draw an image without a label; any where the models differ on none.

    Raises:
        SelectionError: all images are labelled.
    """
    rest = unlabelled(pool, labelled)
    return int(rng.choice(rest, p=_chances(disagreement(pool)[rest])))


def lure_weights(scores: np.ndarray, drawn: tuple[int, ...]) -> np.ndarray:
    """Weight of each drawn image, 1 + (N - M) / (N - m) (1 / ((N - m + 1) q_m) - 1).

    Args:
        scores: (images,), to which chances are proportional, N of them.
        drawn: columns of the M images in the order in which they were drawn; q_m is the chance that
            the m-th had among those not drawn before.

    Raises:
        SelectionError: an image had no chance to be drawn.
    """
    n_images, n_drawn = len(scores), len(drawn)
    rest = list(range(n_images))
    weights = np.ones(n_drawn)
    for number, image in enumerate(drawn, start=1):
        chance = _chances(scores[rest])[rest.index(image)]
        if chance <= 0:
            raise SelectionError(
                f"image {image} cannot have been picked by vma: no expected losses differ on it"
            )
        if number < n_images:
            excess = 1 / ((n_images - number + 1) * chance) - 1
            weights[number - 1] += (n_images - n_drawn) / (n_images - number) * excess
        rest.remove(image)
    return weights


def weighted_accuracy(pool: Pool, labelled: Labelled) -> np.ndarray:
    """1 - mean of the weighted losses on the drawn images, (models,); 0 without labels.

    An image on which no expected losses differ is never drawn: the level is biased, and differences
    between models are not as long as the models agree on such images.
    """
    if not labelled.images:
        return np.zeros(len(pool.classes))
    weights = lure_weights(disagreement(pool), labelled.images)
    loss = 1 - np.nan_to_num(hits_on(pool, labelled))
    return 1 - (weights[:, None] * loss).mean(axis=0)


def _mean_belief(pool: Pool) -> np.ndarray:
    """Probability of each class on each image, (images, classes)."""
    if pool.probabilities is not None:
        return pool.beliefs().mean(axis=0)
    counts = np.zeros((pool.n_images, pool.n_classes))
    models, images = np.nonzero(pool.classes >= 0)
    np.add.at(counts, (images, pool.classes[models, images]), 1.0)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _chances(scores: np.ndarray) -> np.ndarray:
    """Chances in proportion to the scores; equal where all are zero."""
    # Sums of equal terms with both signs leave rounding behind.
    kept = np.where(scores > 1e-9, scores, 0.0)
    total = kept.sum()
    return kept / total if total > 0 else np.full(len(kept), 1 / len(kept))
