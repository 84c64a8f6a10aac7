"""Advice from a posterior: probable best models, the cost of a wrong choice, when to stop.

Computed from draws of the whole zoo, so that near-twins and unequal noise are in it.
"""

from dataclasses import dataclass

import numpy as np

# Labels after which the verdict may change.
CHECKS = (5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200)
TOLERANCE = 0.02
N_DRAWS = 2000
TOP = 5
LEVEL = 0.95


@dataclass(frozen=True)
class Advice:
    """Choice and its risk, from draws of the zoo's accuracies.

    Attributes:
        first: place of the model with the largest score.
        p_best: (models,), share of the draws in which the model is the best.
        p_top: (models,), share in which it is among the best 5.
        expected_regret: mean loss of accuracy of `first` against the best, over the draws.
        rank_low: (models,), best rank to expect (95 % interval, rounded outwards; 1 is best).
        rank_high: (models,), worst.
        accuracy_low: (models,), 5 % quantile of the accuracy.
        accuracy_high: (models,), 95 % quantile.
    """

    first: int
    p_best: np.ndarray
    p_top: np.ndarray
    expected_regret: float
    rank_low: np.ndarray
    rank_high: np.ndarray
    accuracy_low: np.ndarray
    accuracy_high: np.ndarray


def advise(draws: np.ndarray, score: np.ndarray, *, top: int = TOP) -> Advice:
    """Summarise draws.

    Args:
        draws: (draws, models), accuracies of the whole zoo, as `Posterior.draw` gives them.
        score: (models,), posterior means; the first of equal ones is the first choice.
        top: k of `p_top`.
    """
    n_draws, n_models = draws.shape
    first = int(np.argmax(score))
    order = np.argsort(-draws, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, n_models + 1)[None], axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0)
    five, ninety_five = np.quantile(draws, [0.05, 0.95], axis=0)
    return Advice(
        first=first,
        p_best=np.bincount(order[:, 0], minlength=n_models) / n_draws,
        p_top=(ranks <= top).mean(axis=0),
        expected_regret=expected_regret(draws, first),
        rank_low=np.floor(low).astype(int),
        rank_high=np.ceil(high).astype(int),
        accuracy_low=five,
        accuracy_high=ninety_five,
    )


def expected_regret(draws: np.ndarray, first: int) -> float:
    """Return the mean over draws of the best accuracy minus that of the first choice."""
    return float((draws.max(axis=1) - draws[:, first]).mean())


def is_enough(regret: float, n_labels: int, *, tolerance: float = TOLERANCE) -> bool:
    """Say whether to stop labelling: the expected regret is below the tolerance at one of `CHECKS`.

    Between the checks the answer is no, since looking after every label would stop by luck; beyond
    the last check every number is one.
    """
    return (n_labels in CHECKS or n_labels > CHECKS[-1]) and regret < tolerance


def next_check(n_labels: int) -> int | None:
    """Return the number of labels at which the verdict may change next; None beyond the last."""
    return next((n for n in CHECKS if n > n_labels), None)
