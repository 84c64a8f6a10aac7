"""CODA: label the image that is expected to tell most about which model is best.

Kay et al. 2025, https://arxiv.org/abs/2507.23771. Each model has, for each true class, a Dirichlet
over its answers, which starts at what the consensus of the zoo says.
"""

import numpy as np

from vlmsel.selection.orders.pool import Labelled, Pool, pick_among_best, unlabelled

# Weight of the consensus in the prior is 1 - ALPHA; what a true label adds; strength of the prior.
ALPHA, LEARNING_RATE, STRENGTH = 0.9, 0.01, 2.0
# What a hypothetical label adds, and the points of the quadrature.
HYPOTHETICAL, GRID = 1.0, 256
EDGE, TINY = 1e-6, 1e-30


def dirichlets(pool: Pool, labelled: Labelled) -> np.ndarray:
    """Parameters of each model and true class over the answers, (models, classes, classes).

    2 (base + (1 - alpha) confusion), base = 1 on the diagonal and 1 / (K - 1) off it; the confusion
    is that of the probabilities against the class that their mean makes most probable, each row
    summing to 1. A label adds `LEARNING_RATE` at each model's answer.

    Raises:
        SelectionError: the pool has no probabilities.
    """
    beliefs, k = pool.beliefs(), pool.n_classes
    consensus = np.eye(k)[beliefs.mean(axis=0).argmax(axis=1)]
    confusion = np.einsum("nc,mnj->mcj", consensus, beliefs)
    confusion /= np.maximum(confusion.sum(axis=2, keepdims=True), EDGE)
    base = np.full((k, k), 1 / (k - 1))
    np.fill_diagonal(base, 1.0)
    made = STRENGTH * (base + (1 - ALPHA) * confusion)
    for image, label in zip(labelled.images, labelled.labels, strict=True):
        if label >= 0:
            answered = np.flatnonzero(pool.classes[:, image] >= 0)
            made[answered, label, pool.classes[answered, image]] += LEARNING_RATE
    return made


def class_beliefs(pool: Pool, parameters: np.ndarray) -> np.ndarray:
    """Probability of each class on each image, (images, classes).

    The sum over the models of Dirichlet times probabilities, normalised for each image.
    """
    k = pool.n_classes
    beliefs = pool.beliefs()
    # One product of matrices: models and answers are summed over together.
    summed = beliefs.transpose(1, 0, 2).reshape(pool.n_images, -1) @ (
        parameters.transpose(0, 2, 1).reshape(-1, k)
    )
    return summed / np.maximum(summed.sum(axis=1, keepdims=True), TINY)


def best_of_betas(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Probability that each of several independent Beta variables is the largest.

    Args:
        alpha: (classes, models), first parameters.
        beta: (classes, models), second parameters.

    Returns:
        (classes, models), each row summing to 1: the integral of the density times the product of
        the others' distribution functions, by the trapezoidal rule on `GRID` points.
    """
    density, distribution = _curves(alpha, beta)
    log_all = np.log(distribution).sum(axis=1, keepdims=True)
    others = np.exp(log_all - np.log(distribution))
    found = (density * others) @ _trapezoid()
    return found / np.maximum(found.sum(axis=1, keepdims=True), TINY)


def probability_best(pool: Pool, labelled: Labelled) -> np.ndarray:
    """Probability of each model to be the best, mixed over the classes, (models,).

    Raises:
        SelectionError: the pool has no probabilities.
    """
    parameters = dirichlets(pool, labelled)
    marginal = class_beliefs(pool, parameters).mean(axis=0)
    return marginal @ best_of_betas(*_betas(parameters))


def expected_accuracy(pool: Pool, labelled: Labelled) -> np.ndarray:
    """Accuracy that each model's Dirichlets expect, mixed over the classes, (models,).

    Raises:
        SelectionError: the pool has no probabilities.
    """
    parameters = dirichlets(pool, labelled)
    alpha, beta = _betas(parameters)
    return class_beliefs(pool, parameters).mean(axis=0) @ (alpha / (alpha + beta))


def information_gains(pool: Pool, labelled: Labelled, images: np.ndarray) -> np.ndarray:
    """Expected drop of the entropy of `probability_best` by a label of each image, in bits.

    A hypothetical label adds 1 to one parameter of each model's Beta of that class: to the first
    where the model answers the class, else to the second.

    Args:
        pool: answers and probabilities.
        labelled: labels so far.
        images: (N,), columns of the images.
    """
    parameters = dirichlets(pool, labelled)
    by_image = class_beliefs(pool, parameters)
    marginal = by_image.mean(axis=0)
    alpha, beta = _betas(parameters)
    before = best_of_betas(alpha, beta)
    mixture = marginal @ before
    answers = pool.classes[:, images].T
    after = np.zeros(len(images))
    for c in range(pool.n_classes):
        # Images on which the same models answer the class teach the same.
        patterns, places = np.unique(answers == c, axis=0, return_inverse=True)
        best = _best_after(alpha[c], beta[c], patterns)
        entropy = _entropy(mixture + marginal[c] * (best - before[c]))
        after += by_image[images, c] * entropy[places.reshape(-1)]
    return _entropy(mixture) - after


def next_image(pool: Pool, labelled: Labelled, rng: np.random.Generator) -> int:
    """Pick the image with the largest expected gain; ties at random.

    Images on which all models agree are left out while there are others.

    Raises:
        SelectionError: all images are labelled, or the pool has no probabilities.
    """
    rest = unlabelled(pool, labelled)
    disputed = rest[(pool.classes[:, rest] != pool.classes[:1, rest]).any(axis=0)]
    images = disputed if len(disputed) else rest
    return int(images[pick_among_best(information_gains(pool, labelled, images), rng)])


def _betas(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Beta parameters of the accuracy on each class, both (classes, models)."""
    alpha = np.diagonal(parameters, axis1=1, axis2=2).T
    return alpha, parameters.sum(axis=2).T - alpha


def _best_after(alpha: np.ndarray, beta: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """`best_of_betas` of one class after a label, for each pattern of models that answer it.

    Args:
        alpha: (models,).
        beta: (models,).
        patterns: (patterns, models) of booleans.

    Returns:
        (patterns, models).
    """
    right = _curves(alpha[None] + HYPOTHETICAL, beta[None])
    wrong = _curves(alpha[None], beta[None] + HYPOTHETICAL)
    log_right, log_wrong = np.log(right[1][0]), np.log(wrong[1][0])
    log_all = patterns @ (log_right - log_wrong) + log_wrong.sum(axis=0)
    everyone = np.exp(log_all) * _trapezoid()
    found = np.where(
        patterns,
        everyone @ (right[0][0] / right[1][0]).T,
        everyone @ (wrong[0][0] / wrong[1][0]).T,
    )
    return found / np.maximum(found.sum(axis=1, keepdims=True), TINY)


def _curves(alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Density and distribution function on the grid, both (classes, models, points)."""
    from scipy.special import betaln

    x = np.linspace(EDGE, 1 - EDGE, GRID)
    a, b = alpha[..., None], beta[..., None]
    density = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b))
    steps = (density[..., 1:] + density[..., :-1]) / 2 * (x[1] - x[0])
    distribution = np.zeros(density.shape)
    distribution[..., 1:] = np.cumsum(steps, axis=-1)
    return density, np.maximum(distribution, TINY)


def _trapezoid() -> np.ndarray:
    """Weights of the trapezoidal rule on the grid."""
    step = (1 - 2 * EDGE) / (GRID - 1)
    weights = np.full(GRID, step)
    weights[[0, -1]] = step / 2
    return weights


def _entropy(p: np.ndarray) -> np.ndarray:
    """Entropy along the last axis, in bits."""
    kept = np.maximum(p, 1e-12)
    return -(kept * np.log2(kept)).sum(axis=-1)
