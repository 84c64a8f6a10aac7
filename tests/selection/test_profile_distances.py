import math

import numpy as np
import pytest
from scipy.spatial import distance as scipy_distance

from vlmsel.selection.profile_distances import DISTANCES, PlainDistance


def between(name, t: list[float], s: list[float]) -> float:
    profiles = np.array([[t, s]])
    found = PlainDistance(name).towards(profiles[:, 0], profiles, np.array([len(t)]))
    assert found.shape == (1, 2)
    assert found[0, 0] == pytest.approx(0, abs=1e-12)
    return found[0, 1]


@pytest.mark.parametrize("name", list(DISTANCES))
def test_symmetric_and_zero_for_equals(name):
    rng = np.random.default_rng(0)
    t, s = rng.lognormal(size=(2, 5)).tolist()
    assert between(name, t, s) == pytest.approx(between(name, s, t))
    assert between(name, t, t) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("symmetric-l1", 2 * (1 + 1) / (4 + 4)),
        ("cosine", 1 - (3 + 3) / 10),
        (
            "jensen-shannon",
            math.log(2) - (-0.75 * math.log(0.75) - 0.25 * math.log(0.25)),
        ),
    ],
)
def test_hand_values(name, expected):
    # The last is H(1/2, 1/2) - H(3/4, 1/4).
    t, s = ([1.0, 3.0], [3.0, 1.0]) if name != "symmetric-l1" else ([1.0, 3.0], [2.0, 2.0])
    assert between(name, t, s) == pytest.approx(expected)


def test_against_scipy():
    t, s = np.random.default_rng(1).lognormal(size=(2, 9))
    found = {name: between(name, t.tolist(), s.tolist()) for name in DISTANCES}
    assert found["cosine"] == pytest.approx(scipy_distance.cosine(t, s))
    assert found["jensen-shannon"] == pytest.approx(scipy_distance.jensenshannon(t, s) ** 2)
    assert found["symmetric-l1"] == pytest.approx(2 * scipy_distance.braycurtis(t, s))


def test_jensen_shannon_takes_zero_blocks():
    assert between("jensen-shannon", [0.0, 1.0], [1.0, 0.0]) == pytest.approx(math.log(2))
