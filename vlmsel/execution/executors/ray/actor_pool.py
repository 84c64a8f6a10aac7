"""The work loop over Ray actors.

Each loads one VLM and writes its own results; only small outcomes come back.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import (
    ActorUnschedulableError,
    RayActorError,
    RayError,
    RayTaskError,
    RuntimeEnvSetupError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from vlmsel.errors import ExecutionError, VlmselError
from vlmsel.execution.executors.ray.actor import RayWorker, kill_process
from vlmsel.execution.executors.ray.place_watch import PlaceWatch
from vlmsel.execution.executors.ray.session import cluster_resources, hold_gpus, ray_session
from vlmsel.execution.plan.decoded_share import cache_bytes_for
from vlmsel.execution.plan.placement import Demand, FreeResources, Resources, place
from vlmsel.execution.plan.run_options import RunOptions, WorkerOptions
from vlmsel.execution.plan.units import Job, ModelUnits, Unit, UnitOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.execution.work.dispatch import IN_FLIGHT, START_S
from vlmsel.execution.work.loop import Lost, OnOutcome, work_loop

log = logging.getLogger(__name__)

# For a process to be killed on its node.
KILL_S = 30.0
# Autoscaled nodes take minutes to come.
GPU_TIMEOUT_S = 900.0


def run_ray(
    plan: Plan,
    store_uri: str,
    options: RunOptions,
    *,
    on_outcome: OnOutcome | None = None,
    start_s: float = START_S,
) -> RunSummary:
    """Run all of a plan on a Ray cluster.

    Args:
        plan: what to do.
        store_uri: where results go; every node must reach it.
        options: which cluster, and how much of it.
        on_outcome: called with every settled cell, in the driver.
        start_s: what one more actor of a model must be worth, in seconds.

    Raises:
        ExecutionError: the cluster is not there, or cannot give what a model needs.
        StoreError: results cannot be written.
    """
    n_useful = min(plan.n_units, options.n_workers or plan.n_units)
    with (
        ray_session(options.address),
        hold_gpus(options.n_gpus, n_useful=n_useful, timeout_s=GPU_TIMEOUT_S),
    ):
        resources = cluster_resources()
        demands = place(plan.work, resources, threads=options.threads)
        how = WorkerOptions(
            store_uri=store_uri,
            max_memory_gb=options.max_memory_gb,
            threads=options.threads,
            cache_bytes=cache_bytes_for(plan),
            log_level=options.log_level,
        )
        pool = RayPool(plan.job, how, resources, demands, options.n_workers)
        return work_loop(plan, pool, on_outcome, start_s=start_s, limits=options.limits)


@dataclass(eq=False)
class PooledActor:
    """An actor, its slot, and the model it works on now.

    Attributes:
        process: the answer of its first call, which comes when it has its place.
    """

    actor: ActorHandle[Any]
    process: Any
    demand: Demand
    slot: int
    work: ModelUnits


class RayPool:
    """Actors where there is room for them.

    Args:
        job: what is measured.
        options: how workers work.
        resources: what the cluster offers.
        demands: what a worker occupies, by model name.
        n_workers: actors at most.
    """

    def __init__(
        self,
        job: Job,
        options: WorkerOptions,
        resources: Resources,
        demands: dict[str, Demand],
        n_workers: int | None = None,
    ) -> None:
        self._options = options
        self._demands = demands
        self._free = FreeResources(resources, limit=n_workers)
        self._idle: list[PooledActor] = []
        self._job = job
        self._remote: Any = ray.remote(RayWorker)
        self._watch = PlaceWatch()

    @property
    def is_full(self) -> bool:
        """True if no worker of any model has room."""
        return self._free.is_full

    def fits(self, work: ModelUnits) -> bool:
        """Tell whether there is room for one more worker of this model."""
        return self._free.fits(self._demands[work.name])

    def acquire(self, work: ModelUnits) -> PooledActor:
        """Return an actor for this model: an idle one of the same demand, else a new one."""
        demand = self._demands[work.name]
        alike = next((idle for idle in self._idle if idle.demand == demand), None)
        # Ray ends an actor that nobody refers to; the idle ones of other demands are in the way.
        self._idle = [idle for idle in self._idle if idle.demand == demand and idle is not alike]
        actor = alike.actor if alike else self._start(demand)
        process = alike.process if alike else actor.process.remote()
        return PooledActor(actor, process, demand, self._free.take(demand), work)

    def submit(self, worker: PooledActor, unit: Unit, *, last_try: bool) -> object:
        """Start one unit on an actor."""
        work = worker.work
        return worker.actor.run.remote(work.spec, work.identity, unit, last_try)

    def has_started(self, worker: PooledActor) -> bool:
        """True if the actor has its place.

        Raises:
            ExecutionError: it never will.
        """
        if ray.wait([worker.process], timeout=0)[0]:
            self._watch.forget()
            return True
        self._watch.look(worker.demand)
        return False

    def wait(
        self, tickets: Sequence[object], timeout_s: float | None
    ) -> list[tuple[object, UnitOutcome | Lost]]:
        """Block until at least one unit is done, or for `timeout_s`."""
        # Whom nobody took over goes now: an actor that waits for its place needs what it holds.
        self._idle.clear()
        refs = list(tickets)
        ray.wait(refs, num_returns=1, timeout=timeout_s)
        done, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        return [(ref, _result(ref)) for ref in done]

    def kill(self, worker: PooledActor) -> None:
        """End the actor, and its process on its node: a stopped one answers no request."""
        ray.kill(worker.actor)
        _kill_process(worker.process)

    def release(self, worker: PooledActor, *, at_once: bool) -> None:
        """Keep the actor for the model of the next worker, or end it."""
        self._free.give_back(worker.slot)
        if at_once:
            ray.kill(worker.actor)
        else:
            self._idle.append(worker)

    def record_failure(self, unit: Unit, reason: str) -> None:
        """Record a failure that no actor lived to record."""
        # Imported here: a driver needs torch for nothing else.
        from vlmsel.execution.work.worker import record_failure

        record_failure(self._options.store_uri, self._job, unit, reason, "lost")

    def _start(self, demand: Demand) -> ActorHandle[Any]:
        return self._remote.options(
            num_cpus=demand.cpus,
            num_gpus=demand.gpus,
            # The loop counts every death, and takes a new actor.
            max_restarts=0,
            max_task_retries=0,
            # One more call: `process` answers beside cells.
            max_concurrency=IN_FLIGHT + 1,
        ).remote(self._job, self._options, demand)


def _kill_process(process: Any) -> None:
    """Kill an actor's process on its node."""
    try:
        node, pid, owner = ray.get(process)
        if node == ray.get_runtime_context().get_node_id():
            kill_process(pid, owner)
            return
        strategy = NodeAffinitySchedulingStrategy(node, soft=False)
        kill = ray.remote(kill_process).options(num_cpus=0, scheduling_strategy=strategy)
        ray.get(kill.remote(pid, owner), timeout=KILL_S)
    except RayError as error:
        # With its node gone it is gone, too.
        log.warning("a worker may be left: %s", _short(error))


def _result(ref: Any) -> UnitOutcome | Lost:
    """The outcome behind a reference.

    An error that `ModelWorker.run` raises is raised here, too.
    """
    try:
        return ray.get(ref)
    except RayTaskError as error:
        # Ray's own wrapper says it with the traceback of the worker in the message.
        raise error.cause if isinstance(error.cause, VlmselError) else error from None
    except (RuntimeEnvSetupError, ActorUnschedulableError) as error:
        raise ExecutionError(f"a worker cannot start: {_short(error)}") from error
    except RayActorError as error:
        return Lost(f"its worker died: {_short(error)}")
    except RayError as error:
        return Lost(f"its call was lost: {_short(error)}", worker_is_dead=False)


def _short(error: RayError) -> str:
    """One line; of a message that ends in a traceback, its last line, which is the cause."""
    text = str(error).strip()
    if "Traceback" in text:
        text = text.splitlines()[-1]
    return " ".join(text.split())[:300]
