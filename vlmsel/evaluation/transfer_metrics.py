"""Metrics of transferability papers, beside those of `metrics`, whose conventions they share.

They are not among `METRICS`: tables of leave-one-out stay as they are.
"""

import numpy as np

from vlmsel.evaluation.metrics import METRICS, Metric, Values, check_rankings


def weighted_tau(truth: Values, scores: Values) -> float:
    """Weighted Kendall tau: pairs near the top of either ranking count more; 0 if all are tied.

    Hyperbolic weights 1 / (rank + 1) + 1 / (rank + 1), the mean over the ranks by truth and by
    score; as all transferability papers have it.

    Source: Vigna 2015, `scipy.stats.weightedtau` with its defaults.
    """
    from scipy.stats import weightedtau

    accuracy, score = check_rankings(truth, scores)
    if np.ptp(accuracy) == 0 or np.ptp(score) == 0:
        return 0.0
    return float(np.asarray(weightedtau(-score, accuracy))[0])


def rel_at(k: int, truth: Values, scores: Values) -> float:
    """rel@k = best accuracy among the first k / best accuracy; 1 is perfect.

    Source: Agostinelli et al., ECCV 2022. Models of one score stay in the order given; 1 where the
    best accuracy is 0.
    """
    accuracy, score = check_rankings(truth, scores)
    best = accuracy.max()
    first = np.argsort(score, kind="stable")[:k]
    return float(accuracy[first].max() / best) if best > 0 else 1.0


def rel1(truth: Values, scores: Values) -> float:
    """rel@1: the accuracy of the first choice over the best."""
    return rel_at(1, truth, scores)


def rel3(truth: Values, scores: Values) -> float:
    """rel@3: the best accuracy of the first three over the best."""
    return rel_at(3, truth, scores)


TRANSFER_METRICS: dict[str, Metric] = {
    "weighted_tau": Metric(
        weighted_tau, "Kendall tau with hyperbolic weights (scipy.stats.weightedtau)"
    ),
    "tau": METRICS["tau"],
    "rel1": Metric(rel1, "accuracy of the first choice / best accuracy"),
    "rel3": Metric(rel3, "best accuracy of the first three / best accuracy"),
    "regret1": METRICS["regret1"],
}
