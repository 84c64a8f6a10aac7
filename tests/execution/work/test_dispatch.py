from collections import deque
from dataclasses import replace

from tests.execution.builders import THREE, work
from vlmsel.execution.plan.limits import MAX_TRIES, MODEL_DEATHS, OUTAGE_TRIES
from vlmsel.execution.work.dispatch import ModelQueue, next_model


def queues(*sizes: int, seconds: float = 10.0) -> list[ModelQueue]:
    return [
        ModelQueue(work(name, n, seconds=seconds)) for name, n in zip("abc", sizes, strict=False)
    ]


def name_of(queue: ModelQueue | None) -> str | None:
    return queue and queue.work.name


EVERYWHERE = {"a/x", "b/x", "c/x"}


def test_every_model_gets_a_worker_in_plan_order_before_any_gets_two() -> None:
    two = queues(50, 3)
    assert name_of(next_model(two, EVERYWHERE)) == "a/x"
    two[0].n_workers = 1
    assert name_of(next_model(two, EVERYWHERE)) == "b/x"
    two[1].n_workers = 1
    assert name_of(next_model(two, EVERYWHERE)) == "a/x"


def test_a_model_without_a_place_is_passed_over_but_not_overtaken_by_a_second_worker() -> None:
    two = queues(50, 3)
    assert name_of(next_model(two, {"b/x"})) == "b/x"
    two[1].n_workers = 1
    assert next_model(two, {"b/x"}) is None


def test_room_left_over_goes_where_most_waits_per_worker() -> None:
    two = queues(30, 20)
    two[0].n_workers, two[1].n_workers = 2, 1
    assert name_of(next_model(two, EVERYWHERE)) == "b/x"


def test_a_second_worker_must_be_worth_its_start() -> None:
    [one] = queues(10, seconds=0.1)
    one.n_workers = 1
    assert next_model([one], EVERYWHERE, start_s=5.0) is None
    assert next_model([one], EVERYWHERE, start_s=0.1) is one


def test_measured_times_replace_expected_ones() -> None:
    [one] = queues(10, seconds=0.1)
    one.n_workers = 1
    one.note_outcome(one.waiting[0].unit, 20.0, 20.0)
    assert one.remaining_s == 200.0
    assert next_model([one], EVERYWHERE, start_s=5.0) is one


def test_nobody_is_hired_for_what_the_first_worker_is_about_to_begin() -> None:
    [one] = queues(2, seconds=1000.0)
    one.n_workers = 1
    assert next_model([one], EVERYWHERE) is None


def test_tries_are_bounded() -> None:
    [one] = queues(1)
    [turn] = one.waiting
    over = [replace(turn, deaths=n).is_over(MAX_TRIES) for n in range(MAX_TRIES + 1)]
    assert over == [False] * MAX_TRIES + [True]
    last = [replace(turn, outages=n).is_last for n in range(OUTAGE_TRIES)]
    assert last == [False] * (OUTAGE_TRIES - 1) + [True]


def test_what_is_due_later_waits_and_a_suspect_is_taken_alone() -> None:
    [one] = queues(3)
    first, second, third = one.waiting
    one.waiting = deque([replace(first, due=5.0), replace(second, deaths=1), third])
    assert one.n_due(0.0) == 2
    assert one.take(0.0, n_out=1) is third
    assert one.take(0.0, n_out=1) is None
    assert one.take(0.0, n_out=0) == replace(second, deaths=1)
    assert one.take(0.0, n_out=0) is None
    assert next_model([one], EVERYWHERE) is None
    assert next_model([one], EVERYWHERE, time_s=5.0) is one
    assert one.take(5.0, n_out=0) == replace(first, due=5.0)


def test_a_model_whose_workers_only_die_is_broken_until_one_gives_something() -> None:
    [one] = queues(1)
    for _ in range(MODEL_DEATHS):
        assert not one.is_broken
        one.note_deaths(1, "killed")
    assert one.is_broken
    one.note_outcome(one.waiting[0].unit, 1.0, 80.0)
    assert not one.is_broken
    # It took longer than what was expected of one image.
    assert one.image_s == 80.0


def test_a_unit_is_expected_to_take_what_all_its_cells_take() -> None:
    three = ModelQueue(work("a", 5, seconds=10.0, measurements=THREE))
    assert three.seconds_per_unit == 30.0
    assert three.remaining_s == 150.0
