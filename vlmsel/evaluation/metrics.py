"""Quality of one predicted ranking of a zoo, given the true accuracies. One metric, one function.

Every function takes `truth` (accuracy of each model, higher is better) and `scores` (what a
selector said of each model, LOWER is better), two sequences of the same n >= 2 models in the same
order, and returns one float.

Ties: scores that are equal to 10 decimals are tied. Where a metric needs one order (a top 5, a
first choice), models with tied scores stay in the order in which they were given (leave-one-out
gives them in the order of the ranking), and models with tied accuracies follow the predicted
order, so that a tie in the truth never counts against a prediction.
Short zoos: with n < 5 models every "top 5" is the whole zoo and the divisor 5 becomes n.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.ranking import TIE_DECIMALS

TOP = 5
Values = Sequence[float] | np.ndarray


def ndcg5_paper(truth: Values, scores: Values) -> float:
    """NDCG inside the overlap of the two top fives; not comparable with `ndcg5`.

    C = predicted top 5 that are also in the true top 5, k = |C|; 0 if k < 2. Inside C the
    relevance is the reversed true rank (k for the best, 1 for the last); DCG = sum over C in
    predicted order i = 1..k of rel_i / log2(i + 1), divided by the DCG of the true order.

    Source: the public supplementary code of arXiv 2602.01346.
    """
    accuracy, score = check_rankings(truth, scores)
    common = _common(accuracy, score)
    k = len(common)
    if k < 2:
        return 0.0
    relevance = np.empty(k)
    relevance[np.argsort(-accuracy[common], kind="stable")] = np.arange(k, 0, -1)
    # `common` is in predicted order already, so any falling sequence stands for the prediction.
    return _ndcg(relevance, np.arange(k, 0, -1), k)


def ndcg5(truth: Values, scores: Values) -> float:
    """Standard NDCG@5 with relevance = accuracy, min-max scaled over the zoo.

    DCG@5 = sum_{i=1..5} rel_i / log2(i + 1) in predicted order, divided by the DCG@5 of the true
    order. Models with tied scores share the mean of their relevances (scikit-learn's rule).
    All accuracies equal: 1, since no order is wrong.

    Source: Jarvelin & Kekalainen 2002, `sklearn.metrics.ndcg_score(k=5)`.
    """
    accuracy, score = check_rankings(truth, scores)
    spread = accuracy.max() - accuracy.min()
    if spread == 0:
        return 1.0
    return _ndcg((accuracy - accuracy.min()) / spread, -score, TOP)


def recall5(truth: Values, scores: Values) -> float:
    """R5 = |predicted top 5 and true top 5| / 5 (n instead of 5 for a zoo of n < 5 models).

    Source: LOVM (arXiv 2306.08893), `get_acc` of its evaluation code; SWAB uses the same.
    """
    accuracy, score = check_rankings(truth, scores)
    return len(_common(accuracy, score)) / min(TOP, len(accuracy))


def tau5(truth: Values, scores: Values) -> float:
    """Kendall's tau-b over the models common to both top fives.

    0 if two or fewer are common, or if all of them are tied.

    Source: LOVM (arXiv 2306.08893), `get_k_tau` of its evaluation code.
    """
    accuracy, score = check_rankings(truth, scores)
    common = _common(accuracy, score)
    return _tau_b(accuracy[common], score[common]) if len(common) > 2 else 0.0


def tau(truth: Values, scores: Values) -> float:
    """Kendall's tau-b over the whole zoo; 0 if all accuracies or all scores are tied.

    tau_b = (concordant - discordant) / sqrt((pairs - ties in truth) (pairs - ties in scores)).

    Source: Kendall 1945, `scipy.stats.kendalltau(variant="b")`.
    """
    return _tau_b(*check_rankings(truth, scores))


def regret1(truth: Values, scores: Values) -> float:
    """Best accuracy in the zoo minus the accuracy of the model ranked first; 0 is perfect."""
    accuracy, score = check_rankings(truth, scores)
    return float(accuracy.max() - accuracy[np.argsort(score, kind="stable")[0]])


@dataclass(frozen=True)
class Metric:
    """One metric with the words to print beside it.

    Attributes:
        function: (truth, scores) -> value.
        definition: one line for a table's legend.
        higher_is_better: False for a regret.
    """

    function: Callable[[Values, Values], float]
    definition: str
    higher_is_better: bool = True


METRICS: dict[str, Metric] = {
    "ndcg5_paper": Metric(
        ndcg5_paper,
        "NDCG over the models common to predicted and true top 5, 0 if fewer than two (published)",
    ),
    "ndcg5": Metric(ndcg5, "standard NDCG@5, relevance = accuracy scaled to 0..1 over the zoo"),
    "recall5": Metric(
        recall5, "share of the true top 5 that is in the predicted top 5 (LOVM's R5)"
    ),
    "tau5": Metric(
        tau5, "Kendall tau over the models common to both top fives, 0 if two or fewer (LOVM)"
    ),
    "tau": Metric(tau, "Kendall tau-b over the whole zoo"),
    "regret1": Metric(
        regret1,
        "best accuracy minus the accuracy of the model ranked first",
        higher_is_better=False,
    ),
}


def evaluate_ranking(truth: Values, scores: Values) -> dict[str, float]:
    """Every metric of one ranking, by name."""
    return {name: metric.function(truth, scores) for name, metric in METRICS.items()}


def check_rankings(truth: Values, scores: Values) -> tuple[np.ndarray, np.ndarray]:
    """Check accuracies and scores of one ranking, and return them as arrays."""
    accuracy = np.asarray(truth, dtype=float)
    score = np.asarray(scores, dtype=float)
    if accuracy.ndim != 1 or accuracy.shape != score.shape:
        shapes = f"{accuracy.shape} and {score.shape}"
        msg = f"a metric needs one accuracy and one score per model; got {shapes}"
        raise SelectionError(msg)
    if len(accuracy) < 2:
        msg = f"a ranking of {len(accuracy)} model(s) cannot be judged; give at least two models"
        raise SelectionError(msg)
    if not (np.isfinite(accuracy).all() and np.isfinite(score).all()):
        msg = "accuracies and scores must be finite; leave out models unknown on the task"
        raise SelectionError(msg)
    return accuracy, np.round(score, TIE_DECIMALS)


def _common(accuracy: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Positions of the models in both top fives, in predicted order."""
    predicted = np.argsort(score, kind="stable")
    best = predicted[np.argsort(-accuracy[predicted], kind="stable")][:TOP]
    return predicted[:TOP][np.isin(predicted[:TOP], best)]


def _ndcg(relevance: np.ndarray, predicted: np.ndarray, k: int) -> float:
    """DCG@k of a prediction, higher first, over that of the true order; 0 if nothing is relevant.

    Computes what `sklearn.metrics.ndcg_score` does, whose checks take longer than the sums.
    """
    discount = 1 / (np.log(np.arange(len(relevance)) + 2) / np.log(2))
    discount[k:] = 0
    # Copied: BLAS sums a reversed view in another order.
    ideal = discount.dot(np.sort(relevance)[::-1].copy())
    if ideal == 0:
        return 0.0
    _, group, counts = np.unique(-predicted, return_inverse=True, return_counts=True)
    shared = np.bincount(group, weights=relevance) / counts
    discounts = np.diff(np.cumsum(discount)[np.cumsum(counts) - 1], prepend=0)
    return float((shared * discounts).sum() / ideal)


def _tau_b(accuracy: np.ndarray, score: np.ndarray) -> float:
    from scipy.stats import kendalltau

    if np.ptp(accuracy) == 0 or np.ptp(score) == 0:
        return 0.0
    # scipy's result is a tuple (statistic, p value) that the type checker cannot see into.
    return float(np.asarray(kendalltau(accuracy, -score))[0])
