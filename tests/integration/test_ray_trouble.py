"""Workers that are stopped, encoders that exit, loop and crash: a run on Ray ends, and heals."""

import os
import signal
from pathlib import Path

import polars as pl
import pytest

from tests.execution import bad_encoders
from tests.integration.problem import Wants, assert_equal_stores, stored
from vlmsel.execution.plan.limits import Limits
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.run import measure
from vlmsel.measurements import Profile, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import ModelSpec, Zoo

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.xdist_group("ray"),
]

QUICK = RunOptions(executor="ray", n_workers=1, limits=Limits(deadline_s=6.0, patience_s=5.0))


def test_a_worker_that_is_stopped_is_killed_and_its_cells_are_measured(
    zoo: Zoo,
    tasks: TaskCatalog,
    wants: Wants,
    undisturbed: dict[str, pl.DataFrame],
    tmp_path: Path,
) -> None:
    stopped: list[int] = []

    def stop(outcome: CellOutcome) -> None:
        if not stopped:
            stopped.append(int(outcome.place.partition("pid ")[2].split()[0]))
            os.kill(stopped[0], signal.SIGSTOP)

    store = tmp_path / "store"
    summary = measure(zoo, tasks, Store(store), wants, options=QUICK, on_outcome=stop)
    assert (summary.measured + summary.skipped, summary.n_failures) == (36, 0)
    assert_equal_stores(stored(store, wants), undisturbed)
    assert Path(f"/proc/{stopped[0]}/stat").exists() is False or is_zombie(stopped[0])


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_an_encoder_that_loops_crashes_and_exits_fails_its_cells_and_the_others_are_measured(
    zoo: Zoo, tasks: TaskCatalog, settings: AttributionSettings, tmp_path: Path
) -> None:
    folder = Path(os.environ[bad_encoders.FOLDER])
    (folder / "bad").write_text("os-exit loop exit")
    bad = ModelSpec(model="bad", pretrained="x", encoder="tests.execution.bad_encoders:build")
    two = TaskCatalog(tasks=tasks.tasks[:2])
    both = Zoo(models=(bad, zoo.models[0]))
    # One kind, so that each word of the file is one try of a cell.
    wants = [Want(Profile(settings=settings))]
    summary = measure(both, two, Store(tmp_path / "store"), wants, options=QUICK)
    # The first two cost tries, the third, which is no accident, one cell.
    assert (summary.measured, summary.total.failed, summary.exit_code()) == (3, 1, 1)
    [failure] = summary.failures
    assert "asked to exit" in failure.reason
