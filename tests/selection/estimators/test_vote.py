import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlmsel.selection.estimators import OUTSIDE, vote


def test_golden(answers):
    np.testing.assert_allclose(vote(answers, 3), [0.833333, 0.75, 0.583333, 0.5], atol=5e-7)


@given(answers=arrays(int, (4, 6), elements=st.integers(0, 2)))
@settings(max_examples=30)
def test_one_image_at_a_time(answers):
    expected = []
    for m in range(4):
        total = 0.0
        for i in range(6):
            others = [answers[o, i] for o in range(4) if o != m]
            most = max(others.count(k) for k in others)
            winners = {k for k in others if others.count(k) == most}
            total += 1 / len(winners) if answers[m, i] in winners else 0.0
        expected.append(total / 6)
    np.testing.assert_allclose(vote(answers, 3), expected)


def test_an_answer_outside_the_classes_wins_nothing():
    found = vote(np.array([[OUTSIDE], [OUTSIDE], [1]]), 2)
    assert found[:2].tolist() == [0.0, 0.0]
    assert np.isnan(found[2])


def test_fine_tunes_share_a_vote():
    family = np.zeros((3, 1), dtype=int)
    answers = np.vstack([family, np.ones((2, 1), dtype=int), [[1]]])
    votes = np.array([1 / 3, 1 / 3, 1 / 3, 1, 1, 1])
    assert vote(answers, 2)[5] == pytest.approx(0.0)
    assert vote(answers, 2, votes=votes)[5] == pytest.approx(1.0)
