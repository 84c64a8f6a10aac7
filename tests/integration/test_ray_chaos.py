"""Kill what does the work at seeded random moments; the store must end as if nothing was."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from tests.integration.drive import drive, drive_ray
from tests.integration.problem import (
    Problem,
    Wants,
    assert_equal_stores,
    stored,
    stored_cells,
    write_problem,
)
from tests.integration.test_ray_cluster import mark_of, until
from tests.warm_processes import WarmProcess
from tests.warm_ray import warm_workers
from vlmsel.execution.executors.ray.watchdog import find_marked
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.run import measure
from vlmsel.execution.run_summary import RunSummary
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

# Two models, six tasks, three kinds.
N_CELLS = 36
# What needs no cluster of the session runs beside what does.
ALONE = pytest.mark.xdist_group("chaos")


@pytest.fixture(scope="module")
def problem(zoo: Zoo, tasks: TaskCatalog, wants: Wants) -> Problem:
    return zoo, tasks, wants


def finish(problem: Problem, store: str, **more: Any) -> RunSummary:
    """Measure what is missing, in this process if nothing else is said."""
    zoo, tasks, wants = problem
    return measure(zoo, tasks, Store(store), wants, **more)


def start(
    problem: Problem, folder: Path, *, store: str | None = None, python: str | None = None
) -> WarmProcess:
    """A driver in a process group of its own, so that all of it can be killed at once.

    Args:
        problem: what it measures.
        folder: for the problem's file, and for the store.
        store: another address of the store.
        python: starts the workers of a Ray cluster of its own; None measures without Ray.
    """
    path = write_problem(folder / "problem.json", problem)
    where = store or str(folder / "store")
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    if python is None:
        return WarmProcess(drive, str(path), where, environment=environment)
    return WarmProcess(drive_ray, str(path), where, python, environment=environment)


def read_outcomes(driver: WarmProcess, count: int) -> set[int]:
    """Wait for so many cells; the processes that measured them, where a driver has workers."""
    lines = [driver.stdout.readline() for _ in range(count)]
    assert all(line.startswith("measured") for line in lines)
    return {int(line.partition("pid ")[2].split()[0]) for line in lines if "pid " in line}


def end(driver: WarmProcess) -> None:
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.xdist_group("ray")
def test_actors_killed_at_random_moments(
    problem: Problem, undisturbed: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    chance = random.Random(3)
    kills: list[int] = []

    def maybe_kill(outcome: CellOutcome) -> None:
        if outcome.place and len(kills) < 2 and chance.random() < 0.4:
            time.sleep(chance.random() / 20)
            pid = int(outcome.place.partition("pid ")[2].split()[0])
            if pid in kills:
                # Another cell of the unit that it did last.
                return
            try:
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)
            except ProcessLookupError:
                return

    store = str(tmp_path / "store")
    options = RunOptions(executor="ray")
    summary = finish(problem, store, options=options, on_outcome=maybe_kill)
    assert kills
    assert (summary.measured + summary.skipped, summary.n_failures) == (N_CELLS, 0)
    assert_equal_stores(stored(store, problem[2]), undisturbed)


@ALONE
@pytest.mark.usefixtures("warm_children")
def test_a_driver_killed_twice_is_finished_by_the_third(
    problem: Problem, undisturbed: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    chance = random.Random(7)
    done = 0
    for _ in range(2):
        driver = start(problem, tmp_path)
        read_outcomes(driver, chance.randint(1, 4))
        time.sleep(chance.random() / 20)
        end(driver)
        now = len(stored_cells(tmp_path / "store", problem[2]))
        assert now > done
        done = now
    summary = finish(problem, str(tmp_path / "store"))
    # Only what was missing is measured.
    assert (summary.measured, summary.skipped) == (N_CELLS - done, done)
    assert_equal_stores(stored(tmp_path / "store", problem[2]), undisturbed)


@ALONE
@pytest.mark.usefixtures("warm_children")
def test_a_killed_ray_driver_is_finished_by_the_next(
    problem: Problem, undisturbed: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    with warm_workers() as python:
        driver = start(problem, tmp_path, python=python)
        workers = read_outcomes(driver, 2)
        mark = mark_of(driver.pid)
        driver.kill()
        # No worker of the dead cluster may write beside the next run.
        until(lambda: not list(find_marked(mark)) and not any(map(psutil.pid_exists, workers)))
    summary = finish(problem, str(tmp_path / "store"))
    assert 0 < summary.measured <= N_CELLS - 2
    assert_equal_stores(stored(tmp_path / "store", problem[2]), undisturbed)


@ALONE
def test_two_drivers_at_once_end_with_the_same_store(
    problem: Problem, undisturbed: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    drivers = [start(problem, tmp_path) for _ in range(2)]
    for driver in drivers:
        output, _ = driver.communicate()
        assert driver.returncode == 0
        assert len(output.splitlines()) <= N_CELLS
    files = list((tmp_path / "store").rglob("*.parquet"))
    assert len(files) == N_CELLS
    assert_equal_stores(stored(tmp_path / "store", problem[2]), undisturbed)
