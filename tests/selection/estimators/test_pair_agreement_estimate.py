import numpy as np

from vlmsel.selection.estimators import OUTSIDE, pair_agreement
from vlmsel.selection.estimators.pair_agreement_estimate import answer_shares


def test_golden(answers):
    expected = [0.666667, 0.583333, 0.5, 0.416667]
    np.testing.assert_allclose(pair_agreement(answers, 3), expected, atol=5e-7)


def test_it_is_the_mean_over_pairs(answers):
    same = (answers[:, None] == answers[None]).mean(axis=2)
    expected = (same.sum(axis=1) - 1) / 3
    np.testing.assert_allclose(pair_agreement(answers, 3), expected)


def test_shares_by_hand():
    answers = np.array([[0], [0], [1], [OUTSIDE]])
    np.testing.assert_allclose(answer_shares(answers, 2).ravel(), [1 / 3, 1 / 3, 0, 0])
