from itertools import pairwise

import pytest

from tests.execution.builders import work
from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.limits import OUTAGE_TRIES, Limits, OutageBreaker, first_of

CELLS = [cell.id for unit in work("m", 40).units for cell in unit.cells]


def test_the_pauses_of_a_cell_grow_and_add_up_to_the_patience() -> None:
    limits = Limits(patience_s=300.0)
    pauses = [limits.pause_s(tries, 0.5) for tries in range(1, OUTAGE_TRIES)]
    assert sum(pauses) == pytest.approx(300.0)
    assert [b / a for a, b in pairwise(pauses)] == pytest.approx([3.0] * 4)
    assert limits.pause_s(1, 0.0) < limits.pause_s(1, 0.5) < limits.pause_s(1, 1.0)


def test_a_deadline_grows_with_what_is_expected_and_with_the_load_of_a_model() -> None:
    limits = Limits()
    assert limits.cell_s(0, 1.0, loads=False) == 600.0
    assert limits.cell_s(25, 1.9, loads=False) == pytest.approx(600.0 + 10 * 25 * 2.0)
    assert limits.cell_s(0, 1.0, loads=True) == 1800.0


def test_a_deadline_that_is_asked_for_is_that_of_every_cell() -> None:
    limits = Limits(deadline_s=7.0)
    assert limits.cell_s(25, 1.9, loads=False) == 7.0
    assert limits.cell_s(25, 1.9, loads=True) == 21.0


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_limits_are_positive_numbers(value: float) -> None:
    with pytest.raises(ExecutionError, match=r"deadline must be a number of seconds above 0"):
        Limits(deadline_s=value)
    with pytest.raises(ExecutionError, match=r"patience must be"):
        Limits(patience_s=value)


def test_a_cell_is_tried_once_at_least() -> None:
    with pytest.raises(ExecutionError, match="max_tries must be at least 1, not 0"):
        Limits(max_tries=0)


def test_the_breaker_opens_where_nothing_can_be_read_for_a_while() -> None:
    breaker = OutageBreaker(Limits(patience_s=100.0))
    for number in range(10):
        breaker.note(CELLS[number], 0.0, is_read=True)
    for number in range(10, 14):
        assert not breaker.is_open(99.0)
        breaker.note(CELLS[number], 20.0, is_read=False)
    assert not breaker.is_open(69.0)
    assert breaker.is_open(70.0)
    breaker.note(CELLS[10], 70.0, is_read=True)
    assert not breaker.is_open(71.0)


def test_cells_that_cannot_be_read_among_many_that_can_are_no_outage() -> None:
    breaker = OutageBreaker(Limits(patience_s=100.0))
    for number, cell in enumerate(CELLS):
        breaker.note(cell, float(number), is_read=number % 4 > 0)
    assert not breaker.is_open(10_000.0)


def test_the_first_of_some_times() -> None:
    assert first_of([], 1.0) is None
    assert first_of([5.0, 3.0], 1.0) == 2.0
    assert first_of([0.0, 3.0], 1.0) == 0.0
