"""One large task shared by two workers, and a worker killed at 99 %.

    python bench/sharing.py                    # 5,000 images; about 5 minutes on two quiet cores
    python bench/sharing.py --images 1000      # shorter

Profiles of one model of the embedded zoo on drawn pictures, measured on Ray by one worker and by
two. Time begins at each worker's first outcome, so that starting Ray, importing torch and loading
the model are not in it. Wall time means something on a quiet machine only. Processor time per
image and the shares of the workers do so on a busy one, too; they do not see workers that wait.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from vlmsel.demo.families import demo_task
from vlmsel.demo.tasks import write_sample_folder
from vlmsel.execution.cells import CellOutcome, Unit
from vlmsel.execution.dispatch import IN_FLIGHT
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.prepare import plan_measurements
from vlmsel.execution.ray_cluster import local_cluster
from vlmsel.execution.ray_pool import Post, RayCrew, run_ray
from vlmsel.measurements import Profile, Want
from vlmsel.store.store import Store
from vlmsel.tasks.catalog import TaskCatalog, folder_task
from vlmsel.zoo.catalog import Zoo, load_zoo

MODEL = "demo-vit-general"
LEAST_EFFICIENCY = 0.9
KILL_AT = 0.99
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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
    def balance(self) -> float:
        """Mean of the workers' images over the most; 1 where all did the same."""
        return self.images.total() / len(self.images) / max(self.images.values())


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
    words = outcome.place.split()
    return int(words[words.index("pid") + 1])


def processor_s(pid: int) -> float:
    """User and system time of a process and its threads, in seconds."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def count_calls() -> Counter[tuple[str, ...]]:
    """Count how often each unit is handed to a worker from now on."""
    calls: Counter[tuple[str, ...]] = Counter()
    submit = RayCrew.submit

    def counted(self: RayCrew, worker: Post, unit: Unit, *, last_try: bool) -> object:
        calls[tuple(cell.id.key for cell in unit.cells)] += 1
        return submit(self, worker, unit, last_try=last_try)

    RayCrew.submit = counted
    return calls


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

        def plan() -> Plan:
            options = RunOptions(verify=False)
            wants = [Want(Profile(), None)]
            return plan_measurements(zoo, tasks, Store(folder / "none"), wants, options=options)

        work = plan()
        print(f"{args.images} images in {work.n_units} shards")
        calls = count_calls()
        with local_cluster(num_cpus=2, include_dashboard=False, log_to_driver=False):
            watches = {}
            for workers in (1, 2):
                watches[workers] = Watch()
                options = RunOptions(executor="ray", n_workers=workers)
                run_ray(work, str(folder / f"{workers}"), options, on_outcome=watches[workers])
            calls.clear()
            kill = KillOnce(work.n_missing)
            options = RunOptions(executor="ray", n_workers=2)
            summary = run_ray(work, str(folder / "killed"), options, on_outcome=kill)
    one, two = watches[1], watches[2]
    for workers, watch in watches.items():
        print(
            f"{workers} worker(s): {1000 * watch.wall_per_image:6.1f} ms wall and "
            f"{1000 * watch.processor_s_per_image:6.1f} ms of processor time per image; "
            f"shares {sorted(watch.images.values())}"
        )
    by_wall = one.wall_per_image / (2 * two.wall_per_image)
    by_processor = one.processor_s_per_image / two.processor_s_per_image * two.balance
    again = calls.total() - work.n_units
    print(f"efficiency by wall time       {by_wall:5.2f}   (bound {LEAST_EFFICIENCY}, quiet cores)")
    print(f"efficiency by processor time  {by_processor:5.2f}   (bound {LEAST_EFFICIENCY})")
    print(f"killed at 99 %: {again} shards done again   (bound {2 * IN_FLIGHT}, those in flight)")
    print(f"cells after the kill: {summary.measured} of {work.n_missing}")
    assert kill.has_killed
    is_whole = summary.measured == work.n_missing
    return 0 if by_processor >= LEAST_EFFICIENCY and again <= 2 * IN_FLIGHT and is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
