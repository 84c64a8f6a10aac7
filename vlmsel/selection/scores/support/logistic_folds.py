"""Logistic regressions of all folds at once: one optimiser, stacked problems.

The problems share nothing but the optimiser's steps; each ends at its own optimum, that of
scikit-learn's LogisticRegression. Starting an optimiser costs more than a small fit does.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

MOST_ITERATIONS = 1000
# Largest slope left, of the loss summed over images.
SLOPE = 1e-4
# Numbers in the stacked features: 16 MB.
MOST_STACKED = 2_000_000
# Steps that the optimiser remembers.
MEMORY = 20


class FittedFolds(NamedTuple):
    """Weights of every fold.

    Attributes:
        weights: (folds, d + 1, C), the last row the intercepts.
        mean: (folds, d), taken off the features first.
        scale: (folds, d), features are divided by it.
        converged: False where the optimiser stopped at its limit.
    """

    weights: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    converged: bool

    def probabilities(self, fold: int, rows: np.ndarray) -> np.ndarray:
        """Probabilities of the classes for some rows, by the model of a fold."""
        from scipy.special import softmax

        scaled = (rows - self.mean[fold]) / self.scale[fold]
        return softmax(scaled @ self.weights[fold, :-1] + self.weights[fold, -1], axis=1)


def can_stack(rows: np.ndarray, codes: np.ndarray, trainings: Sequence[np.ndarray]) -> bool:
    """True if the folds are small enough, and every class is in each."""
    n_classes = int(codes.max()) + 1
    small = rows.size * len(trainings) <= MOST_STACKED
    return small and all(len(np.unique(codes[training])) == n_classes for training in trainings)


def fit_folds(
    rows: np.ndarray,
    codes: np.ndarray,
    trainings: Sequence[np.ndarray],
    *,
    strength: float,
    standardise: bool,
) -> FittedFolds:
    """Fit every fold: minimise strength * sum of -ln p(true class) + |W|^2 / 2, intercepts free.

    Args:
        rows: (n, d).
        codes: (n,) classes, 0 .. C - 1, all in every fold.
        trainings: rows of each fold.
        strength: C of scikit-learn.
        standardise: scale the columns of each fold to mean 0 and variance 1 first.
    """
    from scipy.optimize import minimize

    n, d, n_classes = (
        max(len(training) for training in trainings),
        rows.shape[1],
        int(codes.max()) + 1,
    )
    mean, scale = np.zeros((len(trainings), d)), np.ones((len(trainings), d))
    features = np.zeros((len(trainings), n, d + 1))
    truth = np.zeros((len(trainings), n, n_classes))
    # A fold with fewer images than another is filled up with rows of weight 0.
    weight = np.zeros((len(trainings), n, 1))
    for fold, training in enumerate(trainings):
        fold_rows = rows[training]
        if standardise:
            spread = fold_rows.std(axis=0)
            mean[fold], scale[fold] = fold_rows.mean(axis=0), np.where(spread > 0, spread, 1.0)
        features[fold, : len(fold_rows), :-1] = (fold_rows - mean[fold]) / scale[fold]
        features[fold, : len(fold_rows), -1] = 1.0
        truth[fold, np.arange(len(fold_rows)), codes[training]] = 1.0
        weight[fold, : len(fold_rows)] = strength
    turned = np.ascontiguousarray(features.transpose(0, 2, 1))
    shape = (len(trainings), d + 1, n_classes)
    penalised = np.ones((d + 1, 1))
    penalised[-1] = 0.0

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        logits = features @ weights
        logits -= logits.max(axis=2, keepdims=True)
        raised = np.exp(logits)
        total = raised.sum(axis=2, keepdims=True)
        of_truth = (logits * truth).sum(axis=2, keepdims=True)
        data = float(((np.log(total) - of_truth) * weight).sum())
        kept = penalised * weights
        slope = turned @ ((raised / total - truth) * weight) + kept
        return data + 0.5 * float((kept**2).sum()), slope.ravel()

    options: dict[str, Any] = {
        "maxcor": MEMORY, "gtol": SLOPE, "ftol": 0.0,
        "maxiter": MOST_ITERATIONS, "maxfun": 2 * MOST_ITERATIONS,
    }  # fmt: skip
    found = minimize(loss, np.zeros(np.prod(shape)), jac=True, method="L-BFGS-B", options=options)
    done = bool(np.abs(np.asarray(found.jac)).max() <= 10 * SLOPE)
    return FittedFolds(np.asarray(found.x).reshape(shape), mean, scale, done)
