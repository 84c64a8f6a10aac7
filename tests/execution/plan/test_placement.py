import pytest

from tests.execution.builders import work
from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.placement import (
    Demand,
    FreeResources,
    Node,
    Resources,
    demand_of,
    place,
)

LAPTOP = Resources((Node(4),))
TWO_GPUS = Resources((Node(8, 2, 24.0),))


def test_without_gpus_a_worker_asks_for_cpus_only() -> None:
    assert demand_of(work("a", 1, memory_gb=99), LAPTOP, threads=2) == Demand(2, 0)


def test_an_undeclared_model_has_a_gpu_to_itself() -> None:
    assert demand_of(work("a", 1), TWO_GPUS) == Demand(1, 1.0)


@pytest.mark.parametrize(
    ("memory_gb", "share"), [(24, 1.0), (13, 1.0), (12, 0.5), (7, 1 / 3), (0.1, 1 / 8)]
)
def test_small_models_share_a_gpu_by_declared_memory(memory_gb: float, share: float) -> None:
    demand = demand_of(work("a", 1, memory_gb=memory_gb), TWO_GPUS)
    assert demand.gpus == pytest.approx(share)
    # As many as share it must fit in its memory.
    assert round(1 / demand.gpus) * memory_gb <= 24


def test_declared_memory_means_nothing_on_gpus_of_unknown_size() -> None:
    assert demand_of(work("a", 1, memory_gb=1), Resources((Node(2, 2),))).gpus == 1.0


def test_a_model_larger_than_the_smallest_gpu_is_refused() -> None:
    mixed = Resources((Node(8, 1, 80.0), Node(8, 1, 16.0)))
    with pytest.raises(ExecutionError, match=r"a/x: declares memory_gb 40.*2 GPUs has 16 GB"):
        demand_of(work("a", 1, memory_gb=40), mixed)


def test_more_threads_than_any_node_has_are_refused() -> None:
    small = Resources((Node(2), Node(2)))
    with pytest.raises(ExecutionError, match=r"asks for 4 CPU\(s\).*4 CPUs and 0 GPUs has 2"):
        demand_of(work("a", 1), small, threads=4)


def test_a_gpu_on_a_node_without_free_cpus_is_refused_before_anything_starts() -> None:
    with pytest.raises(ExecutionError, match="no worker fits"):
        place([work("a", 1)], Resources((Node(0, 4), Node(8))))


def test_place_names_every_model() -> None:
    demands = place([work("a", 1), work("b", 1, memory_gb=6)], TWO_GPUS)
    assert demands == {"a/x": Demand(1, 1.0), "b/x": Demand(1, 0.25)}


def test_room_fills_gpu_by_gpu_and_not_beyond() -> None:
    free = FreeResources(TWO_GPUS)
    slots = [free.take(Demand(1, 0.5)) for _ in range(3)]
    assert free.fits(Demand(1, 0.5))
    # Half of one GPU and half of another are no GPU.
    assert not free.fits(Demand(1, 1.0))
    free.give_back(slots[2])
    assert free.fits(Demand(1, 1.0))
    free.take(Demand(1, 1.0))
    assert free.is_full
    with pytest.raises(ExecutionError, match="nothing of"):
        free.take(Demand(1, 0.5))


def test_thirds_of_a_gpu_add_up() -> None:
    free = FreeResources(Resources((Node(8, 1, 24.0),)))
    for _ in range(3):
        free.take(Demand(1, 1 / 3))
    assert free.is_full


def test_cpus_of_different_nodes_do_not_add_up() -> None:
    free = FreeResources(Resources((Node(2), Node(2))))
    free.take(Demand(1))
    free.take(Demand(1))
    assert free.fits(Demand(2))
    free.take(Demand(2))
    assert free.is_full


def test_a_limit_on_workers_holds_where_more_would_fit() -> None:
    free = FreeResources(Resources((Node(8),)), limit=1)
    slot = free.take(Demand(1))
    assert free.is_full
    assert not free.fits(Demand(1))
    free.give_back(slot)
    assert free.fits(Demand(1))


def test_a_head_without_work_offers_nothing() -> None:
    free = FreeResources(Resources((Node(0), Node(1))))
    free.take(Demand(1))
    assert free.is_full
