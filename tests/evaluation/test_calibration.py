import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.calibration import calibrated_ranks, held_out_coverage
from vlmsel.evaluation.leave_one_out import LeaveOneOut

EMPTY = pl.DataFrame()


def result_of(truths):
    """Leave-one-out, one target a row: truths[t][i] is the true rank of the model put at i + 1."""
    rows = [
        ("s", f"t{t:03d}", place + 1, f"m{place}", "x", float(place), 1.0 - rank / 100)
        for t, ranks in enumerate(truths)
        for place, rank in enumerate(ranks)
    ]
    columns = ["selector", "target", "rank", "model", "pretrained", "score", "accuracy"]
    return LeaveOneOut(EMPTY, pl.DataFrame(rows, schema=columns, orient="row"), EMPTY.lazy(), EMPTY)


def test_a_perfect_selector_has_intervals_of_one_place():
    table = calibrated_ranks(result_of([[1, 2, 3, 4]] * 10), "s", 4, top=2)
    assert table["true_low"].to_list() == table["true_high"].to_list() == [1, 2, 3, 4]
    assert table["p_top"].to_list() == [1.0, 1.0, 0.0, 0.0]


def test_hand_value_of_a_selector_that_swaps_neighbours_half_of_the_time():
    table = calibrated_ranks(result_of([[1, 2], [2, 1]] * 5), "s", 2, top=1)
    # Both places see all 20 errors: 0 ten times, +1 and -1 five times each, clipped to 1 .. 2.
    assert table.row(0) == (1, 1, 2, 0.75, 20)
    assert table.row(1) == (2, 1, 2, 0.25, 20)


def test_intervals_cover_the_truth_of_new_tasks():
    rng = np.random.default_rng(0)

    def draw(n):
        noise = rng.normal(0, 2.0, (n, 12)) + np.arange(12)
        return (noise.argsort(1).argsort(1) + 1).tolist()

    table = calibrated_ranks(result_of(draw(60)), "s", 12)
    new = np.array(draw(400))
    inside = (new >= table["true_low"].to_numpy()) & (new <= table["true_high"].to_numpy())
    assert inside.mean() >= 0.93
    # And not by being useless: they are narrower than the whole zoo.
    assert (table["true_high"] - table["true_low"]).mean() < 9


def test_zoos_of_another_size_are_scaled():
    table = calibrated_ranks(result_of([[1, 2, 3]] * 8), "s", 5)
    assert table["true_low"].to_list() == table["true_high"].to_list() == [1, 2, 3, 4, 5]


def test_a_small_zoo_covers_every_place_of_a_much_larger_one():
    table = calibrated_ranks(result_of([[1, 2, 3], [2, 1, 3]]), "s", 40)
    assert table.height == 40
    assert table["n_errors"].min() > 0
    assert (table["true_low"] <= table["true_high"]).all()
    assert table.row(20)[1] < 21 < table.row(20)[2], "a swap of the small zoo is wide in the large"


def test_an_unknown_selector_is_named():
    with pytest.raises(SelectionError, match="no ranking by 'other'"):
        calibrated_ranks(result_of([[1, 2]]), "other", 2)


def test_held_out_coverage_by_hand():
    # Held out in turn: three tasks in order leave the swapped one outside, both models of it.
    truths = [[1, 2, 3]] * 3 + [[2, 1, 3]]
    found = held_out_coverage(result_of(truths), "s")
    # The intervals of the tasks in order see the swap: places 1 .. 3 of all neighbours' errors.
    # Made of three tasks in order they are one place wide, and hold the third model alone.
    assert found.share == pytest.approx((1 + 1 + 1 + 1 / 3) / 4)
    assert found.low < found.share < found.high == 1.0
    assert found.first == pytest.approx((3 * 2 / 3 + 1 / 3) / 4)


def test_held_out_coverage_is_what_new_tasks_see():
    rng = np.random.default_rng(1)

    def draw(n):
        noise = rng.normal(0, 2.0, (n, 12)) + np.arange(12)
        return (noise.argsort(1).argsort(1) + 1).tolist()

    many = held_out_coverage(result_of(draw(40)), "s")
    few = held_out_coverage(result_of(draw(3)), "s")
    assert 0.93 <= many.share < 0.99
    assert few.share < many.share, "intervals made of two tasks promise too much, and it shows"


def test_one_task_has_no_coverage():
    assert held_out_coverage(result_of([[2, 1]]), "s") is None
