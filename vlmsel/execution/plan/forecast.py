"""Forecast of a plan on given resources: workers at one time, GPU and CPU time. Pure."""

from dataclasses import dataclass

from vlmsel.execution.plan.placement import Demand, FreeResources, Node, Resources, place
from vlmsel.execution.plan.work_plan import Plan

# Of one model: enough for a guess, and a plan of a million units stays quick.
MOST_WORKERS = 64


@dataclass(frozen=True)
class Forecast:
    """Time and workers that a plan is expected to take.

    Attributes:
        demands: what one worker occupies, by model name.
        workers: most workers at one time.
        gpu_s: seconds times the share of a GPU, over all models.
        cpu_s: seconds times CPU cores.
        wall_s: at best, when all workers are busy to the end.
    """

    demands: dict[str, Demand]
    workers: int
    gpu_s: float
    cpu_s: float
    wall_s: float


def forecast(
    plan: Plan, supply: Resources, *, threads: int = 1, n_workers: int | None = None
) -> Forecast:
    """Forecast the workers of a plan, and how long they will take.

    Args:
        plan: what to do.
        supply: what is there for it.
        threads: torch threads and CPUs of a worker.
        n_workers: workers at most.

    Raises:
        ExecutionError: a model needs what is not there; names the demand and the supply.
    """
    demands = place(plan.work, supply, threads=threads)
    seconds = {work.name: work.seconds for work in plan.work}
    free, workers = FreeResources(supply, limit=n_workers), 0
    # As many as find a place, the models in turn, but no more than there are units.
    for number in range(MOST_WORKERS):
        for work in plan.work:
            if not free.is_full and number < len(work.units) and free.fits(demands[work.name]):
                free.take(demands[work.name])
                workers += 1
    total = sum(seconds.values())
    return Forecast(
        demands,
        workers,
        gpu_s=sum(seconds[name] * demand.gpus for name, demand in demands.items()),
        cpu_s=sum(seconds[name] * demand.cpus for name, demand in demands.items()),
        wall_s=total / workers if workers else 0.0,
    )


def this_machine(device: str, *, threads: int = 1) -> Resources:
    """Describe the resources of the local executor: one worker, on a GPU or not."""
    return Resources((Node(cpus=threads, gpus=0 if device == "cpu" else 1),))


def add_requested_gpus(supply: Resources, n_gpus: int, *, threads: int = 1) -> Resources:
    """The supply once an autoscaler brought the GPUs that were asked for, one per node."""
    coming = max(0, n_gpus - supply.gpus)
    return Resources((*supply.nodes, *[Node(cpus=threads, gpus=1)] * coming))
