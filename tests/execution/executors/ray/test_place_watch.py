from collections.abc import Callable

import pytest
from ray.exceptions import RayError

from vlmsel.errors import ExecutionError
from vlmsel.execution.executors.ray.place_watch import LOOK_S, ROOM_S, Free, PlaceWatch
from vlmsel.execution.plan.placement import Demand

DEMAND = Demand(cpus=2)
FULL, EMPTY = {"a": {"CPU": 1.0}, "b": {"CPU": 1.0}}, {"a": {"CPU": 1.0}, "b": {"CPU": 2.0}}


def look_for(seconds: float, free: Callable[[float], Free], demand: Demand = DEMAND) -> None:
    """Look twice a second for so many seconds."""
    now = 0.0
    watch = PlaceWatch(lambda: free(now), lambda: now)
    while now < seconds:
        watch.look(demand)
        now += 0.5


def test_a_full_cluster_is_waited_for():
    look_for(20 * ROOM_S, lambda _: FULL)
    look_for(20 * ROOM_S, lambda _: EMPTY, Demand(cpus=1, gpus=0.5))


def test_room_that_comes_and_goes_is_waited_for():
    look_for(20 * ROOM_S, lambda now: EMPTY if now % ROOM_S < ROOM_S / 2 else FULL)


def test_room_without_a_start_ends_the_run():
    look_for(ROOM_S, lambda _: EMPTY)
    with pytest.raises(ExecutionError, match=r"has had room for 300 s and starts no worker"):
        look_for(2 * ROOM_S, lambda _: EMPTY)


def test_what_was_before_a_start_or_a_time_without_waiting_does_not_count():
    now = 0.0
    watch = PlaceWatch(lambda: EMPTY, lambda: now)
    for start in range(5):
        for step in range(int(0.9 * ROOM_S)):
            now = start * ROOM_S + step
            watch.look(DEMAND)
        watch.forget()
    now += 10 * ROOM_S
    watch.look(DEMAND)
    now += LOOK_S
    watch.look(DEMAND)


def test_a_cluster_without_nodes_ends_the_run():
    look_for(LOOK_S, lambda _: {})
    with pytest.raises(ExecutionError, match="has lost its nodes; what was measured is kept"):
        look_for(2 * LOOK_S, lambda _: {})


def test_a_cluster_that_does_not_answer_ends_the_run():
    def fail(_: float) -> Free:
        raise RayError("no connection")

    with pytest.raises(ExecutionError, match=r"does not answer \(no connection\)"):
        look_for(2 * LOOK_S, fail)
