import numpy as np
import pytest

from vlmsel.selection.answer_spread import measure_spread
from vlmsel.selection.zoo_answers import ZooAnswers


def answers(classes: list[list[int]], n_classes: int = 4) -> ZooAnswers:
    table = np.array(classes)
    nothing = np.full(table.shape, np.nan)
    models = tuple((f"m{i}", "x") for i in range(len(table)))
    images = tuple(f"i{i}" for i in range(table.shape[1]))
    return ZooAnswers(models, images, table, n_classes, nothing, nothing, nothing)


EVEN = answers([[0, 1, 2, 3]] * 3)
SOME = answers([[0, 0, 1, 2]] * 3)


def test_shares_are_scaled_from_chance_to_all():
    assert measure_spread(EVEN, {"s": EVEN}).share == pytest.approx(0.0)
    whole = measure_spread(answers([[2, 2, 2, 2]] * 3), {"s": SOME})
    assert whole.share == pytest.approx(1.0)
    assert whole.usual == pytest.approx((0.5 - 0.25) / 0.75)
    assert (whole.class_number, whole.n_of_class) == (2, 4)
    assert whole.is_unusual


def test_no_more_than_on_a_source_is_usual():
    assert not measure_spread(SOME, {"s": SOME, "t": EVEN}).is_unusual


def test_without_sources_nothing_is_usual():
    assert measure_spread(EVEN, {}) is None
