"""Kill what does the work at seeded random moments; the store must end as if nothing was."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.integration.conftest import ROOT
from tests.integration.problem import Problem, write_problem
from vlmsel.execution.cells import CellOutcome
from vlmsel.execution.options import RunOptions
from vlmsel.execution.run import run_profile
from vlmsel.settings import AttributionSettings
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

N_CELLS = 12
# What needs no cluster of the session runs beside what does.
ALONE = pytest.mark.xdist_group("chaos")


@pytest.fixture(scope="module")
def problem(zoo: Zoo, tasks: TaskCatalog, settings: AttributionSettings) -> Problem:
    return zoo, tasks, settings


@pytest.fixture(scope="module")
def undisturbed(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    store = str(tmp_path_factory.mktemp("undisturbed"))
    assert run_profile(*problem[:2], store, problem[2]).measured == N_CELLS
    return stored(store, problem)


def stored(store: str, problem: Problem) -> pl.DataFrame:
    return ProfileStore(store).scan(problem[2].digest)


def start(
    problem: Problem, folder: Path, executor: str = "local", *, store: str | None = None
) -> subprocess.Popen[str]:
    """A driver in a process group of its own, so that all of it can be killed at once."""
    path = write_problem(folder / "problem.json", problem)
    where = store or str(folder / "store")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.drive", path, where, executor],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def read_outcomes(driver: subprocess.Popen[str], count: int) -> None:
    assert driver.stdout is not None
    for _ in range(count):
        assert driver.stdout.readline().startswith("measured")


def end(driver: subprocess.Popen[str]) -> None:
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.xdist_group("ray")
def test_actors_killed_at_random_moments(
    problem: Problem, undisturbed: pl.DataFrame, tmp_path: Path
) -> None:
    chance = random.Random(3)
    kills: list[int] = []

    def maybe_kill(outcome: CellOutcome) -> None:
        if outcome.place and len(kills) < 3 and chance.random() < 0.4:
            time.sleep(chance.random() / 20)
            pid = int(outcome.place.split()[1])
            try:
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)
            except ProcessLookupError:
                return

    store = str(tmp_path / "store")
    options = RunOptions(executor="ray")
    summary = run_profile(*problem[:2], store, problem[2], options=options, on_outcome=maybe_kill)
    assert kills
    assert (summary.measured + summary.skipped, summary.n_failures) == (N_CELLS, 0)
    assert_frame_equal(stored(store, problem), undisturbed, check_exact=True)


@ALONE
def test_a_driver_killed_twice_is_finished_by_the_third(
    problem: Problem, undisturbed: pl.DataFrame, tmp_path: Path
) -> None:
    chance = random.Random(7)
    done = 0
    for _ in range(2):
        driver = start(problem, tmp_path)
        read_outcomes(driver, chance.randint(1, 4))
        time.sleep(chance.random() / 20)
        end(driver)
        now = len(ProfileStore(tmp_path / "store").measured(problem[2].digest))
        assert now > done
        done = now
    summary = run_profile(*problem[:2], str(tmp_path / "store"), problem[2])
    # Only what was missing is measured.
    assert (summary.measured, summary.skipped) == (N_CELLS - done, done)
    assert_frame_equal(stored(str(tmp_path / "store"), problem), undisturbed, check_exact=True)


@ALONE
def test_a_ray_driver_and_its_whole_cluster_killed_at_once(
    problem: Problem, undisturbed: pl.DataFrame, tmp_path: Path
) -> None:
    driver = start(problem, tmp_path, "ray")
    read_outcomes(driver, 2)
    end(driver)
    summary = run_profile(*problem[:2], str(tmp_path / "store"), problem[2])
    assert 0 < summary.measured <= N_CELLS - 2
    assert_frame_equal(stored(str(tmp_path / "store"), problem), undisturbed, check_exact=True)


@ALONE
def test_two_drivers_at_once_end_with_the_same_store(
    problem: Problem, undisturbed: pl.DataFrame, tmp_path: Path
) -> None:
    drivers = [start(problem, tmp_path) for _ in range(2)]
    for driver in drivers:
        output, _ = driver.communicate()
        assert driver.returncode == 0
        assert len(output.splitlines()) <= N_CELLS
    files = list((tmp_path / "store").rglob("*.parquet"))
    assert len(files) == N_CELLS
    assert_frame_equal(stored(str(tmp_path / "store"), problem), undisturbed, check_exact=True)
