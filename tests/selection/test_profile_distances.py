import math

import numpy as np
import pytest
from scipy.spatial import distance as scipy_distance

from vlmsel.selection.profile_distances import DISTANCES, profile_distances


def between(long_profiles, name: str, t: list[float], s: list[float]) -> float:
    found = profile_distances(long_profiles(np.array([t, s])), "t0", name)
    assert found.columns == ["model", "pretrained", "source", "target", "dcd"]
    assert found.select("source", "target").rows() == [("t1", "t0")]
    return found["dcd"].item()


@pytest.mark.parametrize("name", list(DISTANCES))
def test_symmetric_and_zero_for_equals(long_profiles, name):
    rng = np.random.default_rng(0)
    t, s = rng.lognormal(size=(2, 5)).tolist()
    assert between(long_profiles, name, t, s) == pytest.approx(between(long_profiles, name, s, t))
    assert between(long_profiles, name, t, t) == pytest.approx(0, abs=1e-12)


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
def test_hand_values(long_profiles, name, expected):
    # The last is H(1/2, 1/2) - H(3/4, 1/4).
    t, s = ([1.0, 3.0], [3.0, 1.0]) if name != "symmetric-l1" else ([1.0, 3.0], [2.0, 2.0])
    assert between(long_profiles, name, t, s) == pytest.approx(expected)


def test_against_scipy(long_profiles):
    t, s = np.random.default_rng(1).lognormal(size=(2, 9))
    found = {name: between(long_profiles, name, t.tolist(), s.tolist()) for name in DISTANCES}
    assert found["cosine"] == pytest.approx(scipy_distance.cosine(t, s))
    assert found["jensen-shannon"] == pytest.approx(scipy_distance.jensenshannon(t, s) ** 2)
    assert found["symmetric-l1"] == pytest.approx(2 * scipy_distance.braycurtis(t, s))


def test_jensen_shannon_takes_zero_blocks(long_profiles):
    assert between(long_profiles, "jensen-shannon", [0.0, 1.0], [1.0, 0.0]) == pytest.approx(
        math.log(2)
    )
