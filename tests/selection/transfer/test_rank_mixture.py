import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.transfer.rank_mixture import (
    PRIOR,
    Mixture,
    learn_mixture,
    mean_places,
)

TRUE = [np.random.default_rng(i).permutation(8) + 1.0 for i in range(10)]
NAMES = [PRIOR, "logme"]
SOURCES = [f"task {i}" for i in range(10)]


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 100).permutation(8) + 1.0


def test_the_order_that_is_right_on_the_sources_gets_the_weight():
    places = [np.stack([noise(i), true]) for i, true in enumerate(TRUE)]
    found = learn_mixture(NAMES, SOURCES, places, TRUE)
    assert found.weights[1] > 0.9
    assert found.weights.sum() == pytest.approx(1)
    assert found.n_sources == 10
    assert "over 10 tasks" in found.sentence
    swapped = learn_mixture(NAMES, SOURCES, [p[::-1] for p in places], TRUE)
    assert swapped.weights[0] > 0.9


def test_weights_that_are_all_positive_are_those_of_plain_least_squares():
    pairs = [((true + noise(i)) / 2, true + noise(i + 50)) for i, true in enumerate(TRUE)]
    places = [np.stack(pair) for pair in pairs]
    found = learn_mixture(NAMES, SOURCES, places, TRUE)
    rows = np.concatenate([(p - p.mean(axis=1, keepdims=True)).T for p in places])
    weights = np.linalg.lstsq(rows, np.concatenate(TRUE) - 4.5)[0]
    assert (weights > 0).all()
    assert found.weights == pytest.approx(weights / weights.sum())


def test_an_order_that_is_upside_down_gets_none_and_all_such_leave_the_prior():
    places = [np.stack([9 - true, 9 - true]) for true in TRUE]
    found = learn_mixture(NAMES, SOURCES, places, TRUE)
    assert found.weights.tolist() == [1.0, 0.0]


def test_too_few_sources_weigh_alike_and_say_so():
    places = [np.stack([true, true]) for true in TRUE[:4]]
    found = learn_mixture(NAMES, ["a", "a", "b", "b"], places, TRUE[:4])
    assert found.weights.tolist() == [0.5, 0.5]
    assert "too few" in found.sentence


def test_a_score_of_no_weight_may_be_unknown():
    found = Mixture((PRIOR, "logme"), np.array([1.0, 0.0]), 5)
    places = np.stack([TRUE[0], np.full(8, np.nan)])
    assert found.score(places).tolist() == TRUE[0].tolist()


def test_nothing_to_mix_is_refused():
    with pytest.raises(SelectionError):
        learn_mixture([], [], [], [])


def test_mean_places_leave_out_rows_and_holes():
    places = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan], [9.0, 9.0, 9.0]])
    assert mean_places(places, [2])[:2].tolist() == [2.0, 2.0]
    assert np.isnan(mean_places(places, [2])[2])
