import pytest

from tests.execution.builders import JOB, THREE, identity, job, shard, spec, wanted
from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.forecast import add_requested_gpus, forecast, this_machine
from vlmsel.execution.plan.placement import Node, Resources
from vlmsel.execution.plan.work_plan import Known, Plan, plan_cells

SHARDS = [shard(name, n_images=1) for name in "abcd"]


def plan(**memory_gb: float | None) -> Plan:
    """Models of 4 cells of 10 s."""
    costs = {f"{name}/x": {"profile": 10.0} for name in memory_gb}
    return plan_cells(
        [(spec(name, gb), identity(name)) for name, gb in memory_gb.items()],
        wanted(*SHARDS),
        JOB,
        known=Known(),
        seconds_per_image=costs,
    )


def test_on_cpus_a_worker_takes_its_threads() -> None:
    cost = forecast(plan(m=None, n=None), Resources((Node(4), Node(3))), threads=2)
    assert (cost.workers, cost.gpu_s, cost.cpu_s) == (3, 0.0, 160.0)
    assert cost.wall_s == pytest.approx(80 / 3)


def test_on_gpus_the_share_of_a_model_counts() -> None:
    cost = forecast(plan(small=6.0, large=None), Resources((Node(8, 2, 24.0),)))
    # A quarter of 40 s, and 40 s; four small ones beside one large one.
    assert cost.gpu_s == pytest.approx(10 + 40)
    assert cost.workers == 5
    assert {name: demand.gpus for name, demand in cost.demands.items()} == {
        "small/x": 0.25,
        "large/x": 1.0,
    }


def test_there_are_no_more_workers_than_units_and_than_allowed() -> None:
    assert forecast(plan(m=None), Resources((Node(64),))).workers == 4
    assert forecast(plan(m=None), Resources((Node(64),)), n_workers=3).workers == 3
    assert forecast(plan(m=None), this_machine("cuda"), n_workers=1).gpu_s == 40.0
    assert forecast(plan(m=None), this_machine("cpu", threads=2), threads=2).cpu_s == 80.0


def test_gpus_that_an_autoscaler_will_bring_count() -> None:
    head = Resources((Node(0.0),))
    cost = forecast(plan(m=None), add_requested_gpus(head, 3, threads=2), threads=2)
    assert (cost.workers, cost.gpu_s) == (3, 40.0)
    assert add_requested_gpus(Resources((Node(4, 4),)), 3).gpus == 4


def test_what_cannot_be_placed_is_an_error_that_names_both() -> None:
    with pytest.raises(ExecutionError, match=r"asks for 1 CPU.*0 CPUs and 0 GPUs.*--n-gpus"):
        forecast(plan(m=None), Resources((Node(0.0),)))
    with pytest.raises(ExecutionError, match=r"memory_gb 99.*has 24 GB"):
        forecast(plan(m=99.0), Resources((Node(4, 1, 24.0),)))


def test_nothing_to_do_takes_nothing() -> None:
    nothing = plan_cells([], [], JOB, known=Known(), seconds_per_image={})
    cost = forecast(nothing, Resources((Node(0.0),)))
    assert (cost.workers, cost.wall_s, cost.gpu_s, cost.cpu_s) == (0, 0.0, 0.0, 0.0)


def test_cells_of_a_unit_add_up_but_need_no_workers_of_their_own() -> None:
    costs = {"profile": 10.0, "prediction": 1.0, "embedding": 1.0}
    three = plan_cells(
        [(spec("m"), identity("m"))],
        wanted(*SHARDS, measurements=THREE),
        job(THREE),
        known=Known(),
        seconds_per_image={"m/x": costs},
    )
    cost = forecast(three, Resources((Node(64),)))
    assert (cost.workers, cost.cpu_s) == (4, 48.0)
