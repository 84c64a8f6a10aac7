"""An actor that measures nothing: where and when actors start is seen without their models."""

import os
import time
from pathlib import Path

import ray

from vlmsel.execution.plan.placement import Demand
from vlmsel.execution.plan.run_options import WorkerOptions
from vlmsel.execution.plan.units import CellOutcome, Job, Unit, UnitOutcome
from vlmsel.store.owners import this_process
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

# The file beside the store that says how many actors must have a unit before one is done.
AT_ONCE = "at-once"
POLL_S = 0.05


class LightWorker:
    """What `RayWorker` is to the pool, but it imports no torch and every cell is measured at once.

    Where a file `at-once` lies beside the store, a unit is done when so many actors have one: they
    work at the same time, or the test never ends.
    """

    def __init__(self, job: Job, options: WorkerOptions, demand: Demand) -> None:
        self._folder = Path(options.store_uri).parent
        gpus = ",".join(str(gpu) for gpu in ray.get_gpu_ids()) or "none"
        self._place = f"pid {os.getpid()} gpu {gpus}"

    def process(self) -> tuple[str, int, str]:
        """Where this actor is."""
        return ray.get_runtime_context().get_node_id(), os.getpid(), this_process()

    def run(
        self, spec: ModelSpec, identity: ModelIdentity, unit: Unit, last_try: bool
    ) -> UnitOutcome:
        """Note that this actor has a unit, wait for the others, and say that it is done."""
        (self._folder / f"actor-{os.getpid()}").touch()
        note = self._folder / AT_ONCE
        while note.exists() and len(list(self._folder.glob("actor-*"))) < int(note.read_text()):
            time.sleep(POLL_S)
        outcomes = (CellOutcome(cell.id, "measured", place=self._place) for cell in unit.cells)
        return UnitOutcome(tuple(outcomes))
