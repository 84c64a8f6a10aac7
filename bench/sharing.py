"""One large task shared by two workers, and a worker killed at 99 %.

    python bench/sharing.py                    # 5,000 images; about 5 minutes on two quiet cores
    python bench/sharing.py --images 1000      # shorter

Profiles of one model of the embedded zoo on drawn pictures, measured by the work loop with one and
with two workers, each in a process of its own (no Ray, whose start is not to be measured). Time
begins at each worker's first outcome, so that importing torch and loading the model are not in it.
Wall time means something on a quiet machine only. Processor time per image, and the share of the
time in which a worker has nothing to do at the end, do so on a busy one, too; they do not see
workers that wait in between.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from vlmsel.demo.demo_tasks import write_sample_folder
from vlmsel.demo.families import demo_task
from vlmsel.execution.executors.child import ChildWorker
from vlmsel.execution.executors.threads import Results
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions, WorkerOptions
from vlmsel.execution.plan.units import CellOutcome, ModelUnits, Unit, UnitOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.execution.work.dispatch import IN_FLIGHT
from vlmsel.execution.work.loop import Lost, OnOutcome, work_loop
from vlmsel.execution.work.worker import record_failure
from vlmsel.measurements import Profile, Want
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog, folder_task
from vlmsel.zoo.catalog import Zoo, load_zoo

MODEL = "demo-vit-general"
LEAST_EFFICIENCY = 0.9
KILL_AT = 0.99
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Children:
    """A pool of so many child processes; see `vlmsel.execution.work.loop.WorkerPool`."""

    def __init__(self, plan: Plan, store: Path, n_workers: int) -> None:
        self._job = plan.job
        self._options = WorkerOptions(store_uri=str(store))
        self._n_workers = n_workers
        self._workers: list[ChildWorker] = []
        self._results: Results = SimpleQueue()
        self._pids: dict[int, int] = {}
        self.calls: Counter[Unit] = Counter()

    @property
    def is_full(self) -> bool:
        """True if all workers are acquired."""
        return len(self._workers) >= self._n_workers

    def fits(self, work: ModelUnits) -> bool:
        """True if there is room for one more."""
        return not self.is_full

    def acquire(self, work: ModelUnits) -> ChildWorker:
        """Start a child."""
        worker = ChildWorker(
            work, self._job, self._options, lambda *result: self._results.put(result)
        )
        self._workers.append(worker)
        return worker

    def submit(self, worker: ChildWorker, unit: Unit, *, last_try: bool) -> int:
        """Start one unit, and count it."""
        self.calls[unit] += 1
        ticket = self.calls.total()
        self._pids[ticket] = worker._process.pid
        worker.submit(ticket, unit, last_try=last_try)
        return ticket

    def has_started(self, worker: ChildWorker) -> bool:
        """True once the child has imported all and loads its model."""
        return worker.has_started

    def wait(
        self, tickets: Sequence[object], timeout_s: float | None
    ) -> list[tuple[object, UnitOutcome | Lost]]:
        """Wait for one unit; its outcomes say which process they are of."""
        try:
            ticket, result = self._results.get(timeout=timeout_s)
        except Empty:
            return []
        if isinstance(result, BaseException):
            raise result
        if isinstance(result, UnitOutcome):
            place = f"pid {self._pids[ticket]}"
            result = UnitOutcome(tuple(replace(o, place=place) for o in result.outcomes))
        return [(ticket, result)]

    def kill(self, worker: ChildWorker) -> None:
        """End a child at once."""
        worker.stop(at_once=True)

    def release(self, worker: ChildWorker, *, at_once: bool) -> None:
        """Let a child go."""
        worker.stop(at_once=at_once)
        self._workers.remove(worker)

    def record_failure(self, unit: Unit, reason: str) -> None:
        """Note a failure that no child noted."""
        record_failure(self._options.store_uri, self._job, unit, reason, "lost")


class Watch:
    """Time, processor time and images of every worker since its first outcome."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[float, float]] = {}
        self._last: dict[int, tuple[float, float]] = {}
        self.images: Counter[int] = Counter()

    def __call__(self, outcome: CellOutcome) -> None:
        """Note one outcome."""
        pid = pid_of(outcome)
        now = (time.perf_counter(), processor_s(pid))
        if pid in self._first:
            self.images[pid] += outcome.n_images
            self._last[pid] = now
        else:
            self._first[pid] = now

    @property
    def wall_per_image(self) -> float:
        """Seconds per image of all workers together, while all of them work."""
        pids = list(self.images)
        rates = [self.images[pid] / (self._last[pid][0] - self._first[pid][0]) for pid in pids]
        return 1 / sum(rates)

    @property
    def processor_s_per_image(self) -> float:
        """Processor time per image, of all workers."""
        used = sum(self._last[pid][1] - self._first[pid][1] for pid in self.images)
        return used / self.images.total()

    @property
    def idle_share(self) -> float:
        """Share of the workers' time after their own last outcome, while another still works."""
        end = max(wall for wall, _ in self._last.values())
        idle = sum(end - self._last[pid][0] for pid in self.images)
        return idle / sum(end - self._first[pid][0] for pid in self.images)


class KillOnce:
    """Kills the worker that settled the cell at `KILL_AT`."""

    def __init__(self, n_cells: int) -> None:
        self._left = max(1, int(KILL_AT * n_cells))
        self.has_killed = False

    def __call__(self, outcome: CellOutcome) -> None:
        """Count down."""
        self._left -= 1
        if self._left == 0:
            os.kill(pid_of(outcome), signal.SIGKILL)
            self.has_killed = True


def pid_of(outcome: CellOutcome) -> int:
    """The process of a worker on this machine."""
    return int(outcome.place.removeprefix("pid "))


def processor_s(pid: int) -> float:
    """User and system time of a process and its threads, in seconds."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def main() -> int:
    """Print the figures; return 1 if one is beyond its bound."""
    parser = argparse.ArgumentParser(description="One large task shared by two workers.")
    parser.add_argument("--images", type=int, default=5000)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = write_sample_folder(folder / "images", demo_task("letters-a"), n=args.images)
        tasks = TaskCatalog(tasks=(folder_task(pictures),))
        zoo = Zoo(models=(load_zoo("demo").find(MODEL),))
        wants = [Want(Profile(), None)]
        options = RunOptions(verify=False)
        plan = plan_measurements(zoo, tasks, Store(folder / "none"), wants, options=options)
        print(f"{args.images} images in {plan.n_units} shards", flush=True)

        def run(name: str, n_workers: int, on_outcome: OnOutcome) -> tuple[RunSummary, Children]:
            Store(folder / name).prepare(wants[0].measurement)
            pool = Children(plan, folder / name, n_workers)
            return work_loop(plan, pool, on_outcome, start_s=0.0), pool

        watches = {}
        for workers in (1, 2):
            watch = watches[workers] = Watch()
            run(str(workers), workers, watch)
            print(
                f"{workers} worker(s): {1000 * watch.wall_per_image:6.1f} ms wall and "
                f"{1000 * watch.processor_s_per_image:6.1f} ms of processor time per image; "
                f"shares {sorted(watch.images.values())}, idle at the end {watch.idle_share:.1%}",
                flush=True,
            )
        kill = KillOnce(plan.n_missing)
        summary, pool = run("killed", 2, kill)
    one, two = watches[1], watches[2]
    by_wall = one.wall_per_image / (2 * two.wall_per_image)
    by_processor = one.processor_s_per_image / two.processor_s_per_image * (1 - two.idle_share)
    again = pool.calls.total() - plan.n_units
    print(f"efficiency by wall time       {by_wall:5.2f}   (bound {LEAST_EFFICIENCY}, quiet cores)")
    print(f"efficiency by processor time  {by_processor:5.2f}   (bound {LEAST_EFFICIENCY})")
    print(f"killed at 99 %: {again} shards done again   (bound {IN_FLIGHT}, those in flight)")
    print(f"cells after the kill: {summary.measured} of {plan.n_missing}")
    assert kill.has_killed
    is_whole = summary.measured == plan.n_missing
    return 0 if by_processor >= LEAST_EFFICIENCY and again <= IN_FLIGHT and is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
