"""Kill actors, drivers, raylets and whole clusters at random for minutes; print what was lost.

    python bench/chaos.py                       # 5 minutes, seed 0
    python bench/chaos.py --minutes 60 --seed 3

Each round measures every kind of part of the demo zoo on a Ray cluster of its own, in a driver
process that is killed and started again until it is done; then the store must equal that of an
undisturbed run, value for value.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl
import psutil
import yaml

from vlmsel.demo.tasks import write_demo_tasks
from vlmsel.execution.run import measure
from vlmsel.measurements import Embedding, Prediction, Profile, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import Zoo, load_zoo

N_MODELS, N_TASKS = 4, 6
# One shard, so a cell per model, task and kind.
N_IMAGES = 25
SETTINGS = AttributionSettings(n_steps=128, rule="trapezoid", path="uniform")
# The embedding before the prediction: a run killed between the two goes on from what is stored.
MEASUREMENTS = (Profile(settings=SETTINGS), Embedding(), Prediction())
WANTS = tuple(Want(one, N_IMAGES) for one in MEASUREMENTS)
N_CELLS = N_MODELS * N_TASKS * len(WANTS)
VICTIMS = (*["actor"] * 5, "driver", "raylet", "raylet", "cluster")
KILLS_PER_ROUND = 4
# Seconds between kills, on average: a start of Ray and of an actor, and some cells.
MEAN_PAUSE_S = 5.0
# Longer than any honest silence: a driver that hangs is a failure of ours.
HANG_S = 600.0

Problem = tuple[Zoo, TaskCatalog]
Rows = dict[str, pl.DataFrame]


def make_problem(folder: Path) -> Problem:
    """Return part of the demo, with settings that leave time to kill; catalogs are files, too."""
    tasks = load_tasks(write_demo_tasks(folder / "tasks")).tasks[:N_TASKS]
    models = load_zoo("demo").models[::3][:N_MODELS]
    for name, specs in (("models", models), ("tasks", tasks)):
        entries = [spec.model_dump(mode="json", exclude_none=True) for spec in specs]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({name: entries}))
    return Zoo(models=models), TaskCatalog(tasks=tasks)


def start_driver(folder: Path, store: Path) -> subprocess.Popen[bytes]:
    """Start what a user starts, in a process group of its own."""
    command = [Path(sys.executable).with_name("vlmsel"), "measure", "--executor", "ray"]
    command += [*(want.kind for want in WANTS), "--n-images", str(N_IMAGES)]
    command += ["--zoo", folder / "models.yaml", "--tasks", folder / "tasks.yaml"]
    command += ["--store", store]
    for name in sorted(SETTINGS.model_fields_set):
        command += ["--set", f"{name}={getattr(SETTINGS, name)}"]
    return subprocess.Popen(
        command,
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(driver: subprocess.Popen[bytes], victim: str, chance: random.Random) -> bool:
    """Kill -9 the victim; False where it is not there."""
    try:
        if victim == "driver":
            driver.kill()
        elif victim == "cluster":
            os.killpg(driver.pid, signal.SIGKILL)
        else:
            children = psutil.Process(driver.pid).children(recursive=True)
            names = {"actor": "ray::RayWorker", "raylet": "raylet"}
            chance.choice([c for c in children if c.name().startswith(names[victim])]).kill()
    except (ProcessLookupError, psutil.NoSuchProcess, IndexError):
        return False
    return True


def run_under_fire(
    driver: subprocess.Popen[bytes], chance: random.Random, kills: Counter[str], left: int
) -> bool:
    """Kill up to `left` times while the driver runs; True when it ended with exit code 0."""
    while left and driver.poll() is None:
        time.sleep(chance.expovariate(1 / MEAN_PAUSE_S))
        victim = chance.choice(VICTIMS)
        if driver.poll() is None and kill(driver, victim, chance):
            kills[victim] += 1
            left -= 1
    return driver.wait(timeout=HANG_S) == 0


def clean_up(driver: subprocess.Popen[bytes]) -> None:
    """End what a killed driver left behind, its own process group only."""
    try:
        os.killpg(driver.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def one_round(folder: Path, number: int, chance: random.Random, kills: Counter[str]) -> Path:
    """Measure one store under fire."""
    store = folder / f"store-{number}"
    done, before = False, kills.total()
    while not done:
        left = max(0, KILLS_PER_ROUND - (kills.total() - before))
        driver = start_driver(folder, store)
        done = run_under_fire(driver, chance, kills, left)
        clean_up(driver)
    return store


def rows_of(store: Path) -> Rows:
    """Rows of the measured cells by kind; a corrupt file has none."""
    found = Store(store)
    files = {want.kind: found.cells(want.kind, want.measurement.digest) for want in WANTS}
    return {kind: found.scan(some).rows for kind, some in files.items() if some}


def wrong_cells(store: Path, undisturbed: Rows) -> int:
    """Cells that are missing, too many, or differ in a bit from the undisturbed run."""
    found = rows_of(store)
    return sum(_wrong(found.get(kind, rows.clear()), rows) for kind, rows in undisturbed.items())


def _wrong(found: pl.DataFrame, expected: pl.DataFrame) -> int:
    cell = ["model", "pretrained", "task"]
    there, due = (
        {name: part.rows() for name, part in frame.partition_by(cell, as_dict=True).items()}
        for frame in (found, expected)
    )
    return sum(there.get(name) != due.get(name) for name in there.keys() | due.keys())


def main() -> int:
    """Print the table; return 1 if a cell was lost, doubled or changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance, kills, wrong, rounds = random.Random(args.seed), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        problem = make_problem(folder)
        reference = folder / "undisturbed"
        assert measure(*problem, Store(reference), WANTS).measured == N_CELLS
        undisturbed = rows_of(reference)
        end = time.monotonic() + args.minutes * 60
        while time.monotonic() < end:
            store = one_round(folder, rounds, chance, kills)
            wrong += wrong_cells(store, undisturbed)
            rounds += 1
            print(f"round {rounds}: {kills.total()} kills so far, {wrong} cells wrong", flush=True)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(kills.items()))
    print(f"kills survived: {kills.total()} ({by_kind}); cells per round: {N_CELLS}")
    print(f"cells lost, doubled or changed: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
