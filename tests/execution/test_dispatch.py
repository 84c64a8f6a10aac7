from tests.execution.builders import THREE, work
from vlmsel.execution.dispatch import MAX_TRIES, ModelQueue, next_model


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
    one.finished(20.0)
    assert one.remaining_s == 200.0
    assert next_model([one], EVERYWHERE, start_s=5.0) is one


def test_nobody_is_hired_for_what_the_first_worker_is_about_to_begin() -> None:
    [one] = queues(2, seconds=1000.0)
    one.n_workers = 1
    assert next_model([one], EVERYWHERE) is None


def test_tries_are_bounded() -> None:
    [one] = queues(1)
    unit, _ = one.waiting.popleft()
    assert [one.requeue(unit, tries) for tries in range(1, MAX_TRIES + 1)] == [True] * 3 + [False]


def test_a_unit_is_expected_to_take_what_all_its_cells_take() -> None:
    three = ModelQueue(work("a", 5, seconds=10.0, measurements=THREE))
    assert three.seconds_per_unit == 30.0
    assert three.remaining_s == 150.0
