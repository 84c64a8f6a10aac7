"""Kill actors, drivers, raylets and whole clusters at random for minutes; print what was lost.

    python bench/chaos.py                       # 5 minutes, seed 0
    python bench/chaos.py --minutes 60 --seed 3

Each round profiles part of the demo zoo on a Ray cluster of its own, in a driver process that is
killed and started again until it is done; then the store must equal that of an undisturbed run,
value for value.
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
from vlmsel.execution.run import run_profile
from vlmsel.settings import AttributionSettings
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import Zoo, load_zoo

N_MODELS, N_TASKS = 4, 6
SETTINGS = AttributionSettings(n_steps=128, rule="trapezoid", path="uniform")
VICTIMS = (*["actor"] * 5, "driver", "raylet", "raylet", "cluster")
KILLS_PER_ROUND = 4
# Seconds between kills, on average: a start of Ray and of an actor, and some cells.
MEAN_PAUSE_S = 5.0
# Longer than any honest silence: a driver that hangs is a failure of ours.
HANG_S = 600.0

Problem = tuple[Zoo, TaskCatalog, AttributionSettings]


def make_problem(folder: Path) -> Problem:
    """Return part of the demo, with settings that leave time to kill; catalogs are files, too."""
    tasks = load_tasks(write_demo_tasks(folder / "tasks")).tasks[:N_TASKS]
    models = load_zoo("demo").models[::3][:N_MODELS]
    for name, specs in (("models", models), ("tasks", tasks)):
        entries = [spec.model_dump(mode="json", exclude_none=True) for spec in specs]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({name: entries}))
    return Zoo(models=models), TaskCatalog(tasks=tasks), SETTINGS


def start_driver(folder: Path, store: Path) -> subprocess.Popen[bytes]:
    """Start what a user starts, in a process group of its own."""
    command = [Path(sys.executable).with_name("vlmsel"), "profile", "--executor", "ray"]
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


def lost_cells(store: Path, problem: Problem, undisturbed: pl.DataFrame) -> int:
    """Cells that are missing or differ from the undisturbed run."""
    found = ProfileStore(store).scan(problem[2].digest)
    keys = ["model", "pretrained", "task", "image_id", "block"]
    same = undisturbed.join(found, on=undisturbed.columns, how="semi", nulls_equal=True)
    bad = undisturbed.join(same, on=keys, how="anti", nulls_equal=True)
    more = found.join(undisturbed, on=keys, how="anti", nulls_equal=True)
    pairs = ["model", "pretrained", "task"]
    return pl.concat([bad.select(pairs), more.select(pairs)]).unique().height


def main() -> int:
    """Print the table; return 1 if a cell was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance, kills, lost, rounds = random.Random(args.seed), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        problem = make_problem(folder)
        reference = str(folder / "undisturbed")
        run_profile(problem[0], problem[1], reference, problem[2])
        undisturbed = ProfileStore(reference).scan(problem[2].digest)
        end = time.monotonic() + args.minutes * 60
        while time.monotonic() < end:
            store = one_round(folder, rounds, chance, kills)
            lost += lost_cells(store, problem, undisturbed)
            rounds += 1
            print(f"round {rounds}: {kills.total()} kills so far, {lost} cells lost", flush=True)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(kills.items()))
    print(f"kills survived: {kills.total()} ({by_kind}); cells per round: {N_MODELS * N_TASKS}")
    print(f"cells lost: {lost}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
