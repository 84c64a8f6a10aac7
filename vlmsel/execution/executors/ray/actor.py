"""The actor: a process of the cluster that measures units."""

import os
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import replace

import ray

from vlmsel.errors import VlmselError
from vlmsel.execution.executors.ray.worker_metrics import WorkerMetrics
from vlmsel.execution.plan.placement import Demand
from vlmsel.execution.plan.run_options import WorkerOptions
from vlmsel.execution.plan.units import Job, Unit, UnitOutcome
from vlmsel.execution.work.logs import log_json_lines
from vlmsel.store.owners import is_dead, this_process
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity


class RayWorker:
    """One process with one VLM at a time.

    Every call says which model it is for: a restarted actor knows what to load, and an actor whose
    model is done can take the next one, since starting a process and importing torch costs seconds.
    """

    def __init__(self, job: Job, options: WorkerOptions, demand: Demand) -> None:
        # Imported here: the driver, which only names this class, needs neither torch nor open_clip.
        # Before the first call, so that this time does not count for a cell's deadline.
        from vlmsel.execution.work.device import best_device
        from vlmsel.execution.work.worker import ModelWorker

        self._make_worker = ModelWorker
        log_json_lines(options.log_level)
        self._job = job
        # Torch decides on the device, not Ray: logical GPUs are no GPUs.
        self._options = replace(options, device=best_device() if demand.gpus else "cpu")
        self._changing = threading.Lock()
        self._spec: ModelSpec | None = None
        self._metrics = WorkerMetrics()
        gpus = ",".join(str(gpu) for gpu in ray.get_gpu_ids()) or "none"
        node = ray.get_runtime_context().get_node_id()[:8]
        self._place = f"host {socket.gethostname()} pid {os.getpid()} node {node} gpu {gpus}"

    def process(self) -> tuple[str, int, str]:
        """Identify this actor: its node, and its process as `owners` names it."""
        return ray.get_runtime_context().get_node_id(), os.getpid(), this_process()

    def run(
        self, spec: ModelSpec, identity: ModelIdentity, unit: Unit, last_try: bool
    ) -> UnitOutcome:
        """See `ModelWorker.run`."""
        with self._changing:
            if spec != self._spec:
                self._worker = self._make_worker(spec, identity, self._job, self._options)
                self._spec = spec
            worker = self._worker
        try:
            done = worker.run(unit, last_try=last_try)
        except VlmselError as error:
            # It ends the run, which may be driven from another machine with another environment.
            raise type(error)(f"{error} (on {self._place})") from error
        outcomes = tuple(replace(outcome, place=self._place) for outcome in done.outcomes)
        for outcome in outcomes:
            self._metrics.count(outcome)
        return UnitOutcome(outcomes)


def kill_process(pid: int, owner: str) -> None:
    """Kill an actor's process on this node, unless it has ended."""
    if not is_dead(owner):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
