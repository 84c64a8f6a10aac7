"""The metrics against scikit-learn, scipy, LOVM's definitions written out, and hand values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import ndcg_score

from vlmsel.errors import SelectionError
from vlmsel.evaluation.metrics import (
    METRICS,
    evaluate_ranking,
    ndcg5,
    ndcg5_paper,
    recall5,
    regret1,
    tau,
    tau5,
)

# Eight models by falling accuracy; the prediction swaps the two best and keeps one more of five.
TRUTH = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
SCORES = [2, 1, 5, 6, 7, 3, 4, 8]

zoos = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 20), min_size=n, max_size=n),
        st.lists(st.integers(0, 20), min_size=n, max_size=n),
    )
)


def test_hand_values() -> None:
    # Predicted top 5 = models 1 0 5 6 2; common with the true top 5 = 1 0 2, relevance 2 3 1.
    log3 = math.log2(3)
    assert ndcg5_paper(TRUTH, SCORES) == pytest.approx((2 + 3 / log3 + 0.5) / (3 + 2 / log3 + 0.5))
    assert recall5(TRUTH, SCORES) == pytest.approx(3 / 5)
    assert tau5(TRUTH, SCORES) == pytest.approx(1 / 3)  # pairs: one discordant, two concordant
    assert regret1(TRUTH, SCORES) == pytest.approx(0.1)
    rel = [6 / 7, 1, 2 / 7, 1 / 7, 5 / 7]
    discounts = [1 / math.log2(i + 2) for i in range(5)]
    dcg, ideal = (np.dot(r, discounts) for r in (rel, [1, 6 / 7, 5 / 7, 4 / 7, 3 / 7]))
    assert ndcg5(TRUTH, SCORES) == pytest.approx(dcg / ideal)


def test_perfect_and_reversed() -> None:
    perfect = evaluate_ranking(TRUTH, range(8))
    assert perfect == pytest.approx({n: 0.0 if n == "regret1" else 1.0 for n in METRICS})
    worst = evaluate_ranking(TRUTH, range(8, 0, -1))
    assert worst["tau"] == pytest.approx(-1)
    assert worst["recall5"] == pytest.approx(2 / 5)
    assert worst["tau5"] == 0.0  # two in common only
    assert worst["regret1"] == pytest.approx(0.7)


def test_fewer_than_two_in_common_is_zero_in_the_paper_metric() -> None:
    truth = list(range(10, 0, -1))
    one_common = [5, 6, 7, 8, 9, 0, 1, 2, 3, 10]
    assert recall5(truth, one_common) == pytest.approx(1 / 5)
    assert ndcg5_paper(truth, one_common) == 0.0


@given(zoos)
def test_against_libraries(zoo: tuple[list[int], list[int]]) -> None:
    truth, scores = (np.array(side, dtype=float) for side in zoo)
    if np.ptp(truth) > 0:
        gain = (truth - truth.min()) / np.ptp(truth)
        assert ndcg5(truth, scores) == pytest.approx(ndcg_score([gain], [-scores], k=5))
    reference = kendalltau(truth, -scores).statistic
    assert tau(truth, scores) == pytest.approx(0.0 if math.isnan(reference) else reference)


@pytest.mark.parametrize("n", [2, 4, 5, 30])
def test_tied_scores_share_their_relevance_as_in_scikit_learn(n: int) -> None:
    rng = np.random.default_rng(n)
    for decimals in (0, 1, 9):
        truth, scores = (np.round(rng.random(n), decimals) + (np.arange(n) == 0) for _ in range(2))
        gain = (truth - truth.min()) / np.ptp(truth)
        expected = ndcg_score([gain], [-scores], k=5)
        assert ndcg5(truth, scores) == pytest.approx(expected, abs=1e-15)


@given(zoos)
def test_top_five_metrics_against_lists(zoo: tuple[list[int], list[int]]) -> None:
    truth, scores = zoo
    models = range(len(truth))
    order = sorted(models, key=lambda m: (scores[m], m))
    best = sorted(models, key=lambda m: (-truth[m], order.index(m)))[:5]
    predicted = order[:5]
    common = [m for m in predicted if m in best]
    assert recall5(truth, scores) == pytest.approx(len(common) / len(best))
    reference = 0.0
    if len(common) > 2:
        reference = kendalltau([truth[m] for m in common], [-scores[m] for m in common]).statistic
    assert tau5(truth, scores) == pytest.approx(0.0 if math.isnan(reference) else reference)
    assert regret1(truth, scores) == max(truth) - truth[predicted[0]]


def test_ties_keep_the_given_order_and_noise_is_no_order() -> None:
    truth = [0.1, 0.9, 0.5]
    assert regret1(truth, [1.0, 1.0, 2.0]) == pytest.approx(0.8)
    assert regret1(truth, [1.0 + 1e-12, 1.0, 2.0]) == pytest.approx(0.8)
    assert tau(truth, [1.0 + 1e-12, 1.0, 2.0]) == tau(truth, [1.0, 1.0, 2.0])


def test_short_zoo() -> None:
    assert recall5([0.3, 0.2, 0.1], [3, 2, 1]) == 1.0
    assert ndcg5_paper([0.3, 0.2], [1, 2]) == 1.0
    assert tau5([0.3, 0.2], [1, 2]) == 0.0  # LOVM: two or fewer in common give 0
    assert tau([0.3, 0.2], [1, 2]) == pytest.approx(1.0)


def test_all_tied() -> None:
    flat = evaluate_ranking([0.5] * 6, range(6))
    assert flat == {
        "ndcg5_paper": 1.0, "ndcg5": 1.0, "recall5": 1.0, "tau5": 0.0, "tau": 0.0, "regret1": 0.0,
    }  # fmt: skip
    assert tau(TRUTH, [1.0] * 8) == 0.0


@pytest.mark.parametrize(
    ("truth", "scores", "words"),
    [
        ([0.5], [1.0], "at least two models"),
        ([0.5, 0.4], [1.0], "one accuracy and one score"),
        ([0.5, float("nan")], [1.0, 2.0], "finite"),
        ([0.5, 0.4], [1.0, float("inf")], "finite"),
    ],
)
def test_bad_input(truth: list[float], scores: list[float], words: str) -> None:
    for metric in METRICS.values():
        with pytest.raises(SelectionError, match=words):
            metric.function(truth, scores)
