"""The cluster's costs on this machine: scaling, a kill at half, overhead per cell.

    python bench/cluster.py              # about 5 minutes on two quiet cores
    python bench/cluster.py --steps 64   # shorter runs: starts weigh more

The work is part of the demo zoo, the same cells every time. Compute is the sum over cells of the
time on the accelerator (here: one CPU core each); wall excludes the start of Ray itself.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vlmsel.demo.demo_tasks import write_demo_tasks
from vlmsel.execution.executors.local import run_local
from vlmsel.execution.executors.ray.actor_pool import run_ray
from vlmsel.execution.executors.ray.local_cluster import local_cluster
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.measurements import Profile, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import load_tasks
from vlmsel.zoo.catalog import Zoo, load_zoo

N_MODELS = 4
MAX_KILL_COST = 1.15

OnOutcome = Callable[[CellOutcome], None]


@dataclass(frozen=True)
class Run:
    """Seconds of one run, and its cells."""

    wall_s: float
    compute_s: float
    cells: int

    def __str__(self) -> str:
        return f"wall {self.wall_s:6.1f} s   compute {self.compute_s:6.1f} s   {self.cells} cells"


def timed(run: Callable[[], object], outcomes: list[CellOutcome]) -> Run:
    """Time a run that appends its outcomes."""
    start = time.perf_counter()
    run()
    wall_s = time.perf_counter() - start
    return Run(wall_s, sum(outcome.seconds for outcome in outcomes), len(outcomes))


def on_ray(plan: Plan, store: Path, workers: int, also: OnOutcome | None = None) -> Run:
    """Run a plan into an empty store with that many actors."""
    outcomes: list[CellOutcome] = []

    def on_outcome(outcome: CellOutcome) -> None:
        outcomes.append(outcome)
        if also:
            also(outcome)

    options = RunOptions(executor="ray", n_workers=workers)
    return timed(lambda: run_ray(plan, str(store), options, on_outcome=on_outcome), outcomes)


def here(plan: Plan, store: Path) -> Run:
    """Run a plan into an empty store in this process."""
    outcomes: list[CellOutcome] = []
    return timed(lambda: run_local(plan, str(store), on_outcome=outcomes.append), outcomes)


class KillAtHalf:
    """Kills the actor that finished the middle cell."""

    def __init__(self, n_cells: int) -> None:
        self._left = n_cells // 2
        self.killed = False

    def __call__(self, outcome: CellOutcome) -> None:
        """Count down."""
        self._left -= 1
        if self._left == 0:
            os.kill(int(outcome.place.split()[1]), signal.SIGKILL)
            self.killed = True


def main() -> int:
    """Print the table; return 1 if a kill costs more than its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=256, help="path points per image")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = load_tasks(write_demo_tasks(folder / "tasks"))
        zoo = Zoo(models=load_zoo("demo").models[::3][:N_MODELS])

        def plan(steps: int) -> Plan:
            settings = AttributionSettings(n_steps=steps, rule="trapezoid", path="uniform")
            options = RunOptions(verify=False)
            wants = [Want(Profile(settings=settings), Profile.default_images)]
            return plan_measurements(zoo, tasks, Store(folder / "none"), wants, options=options)

        work, light = plan(args.steps), plan(2)
        local = here(light, folder / "light-local")
        start = time.perf_counter()
        with local_cluster(num_cpus=2, include_dashboard=False, log_to_driver=False):
            print(f"start of Ray            {time.perf_counter() - start:6.1f} s")
            on_light = on_ray(light, folder / "light-ray", 1)
            one = on_ray(work, folder / "one", 1)
            two = on_ray(work, folder / "two", 2)
            killer = KillAtHalf(two.cells)
            killed = on_ray(work, folder / "killed", 2, killer)
    print(f"1 worker                {one}")
    print(f"2 workers               {two}")
    print(f"2 workers, kill at half {killed}")
    efficiency = one.wall_s / (2 * two.wall_s)
    print(f"scaling, 1 -> 2 workers {efficiency:6.2f}   (1 = twice as fast)")
    for workers, run in ((1, one), (2, two)):
        print(f"busy, {workers} worker(s)       {run.compute_s / (workers * run.wall_s):6.2f}")
    cost = killed.wall_s / two.wall_s
    print(f"cost of a kill at half  {cost:6.2f}   (bound {MAX_KILL_COST})")
    for where, run in (("here", local), ("Ray", on_light)):
        per_cell_ms = 1000 * (run.wall_s - run.compute_s) / run.cells
        print(f"overhead per cell, {where:<5}{per_cell_ms:6.0f} ms  (load of the models included)")
    assert killer.killed
    return 0 if cost <= MAX_KILL_COST else 1


if __name__ == "__main__":
    sys.exit(main())
