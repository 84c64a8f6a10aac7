"""The local executor: a user's code that ends, hangs or crashes its process ends its cell alone."""

import errno
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.execution import bad_encoders
from vlmsel.errors import ExecutionError, StoreError
from vlmsel.execution.executors import threads
from vlmsel.execution.plan.limits import Limits
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import execute, measure
from vlmsel.execution.work.in_flight import InFlight
from vlmsel.measurements import Embedding, Prediction, Want
from vlmsel.store.local_folder import LocalFolder
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import ModelSpec, Zoo

# Processes that import torch, or threads that measure: a busy machine needs longer.
pytestmark = pytest.mark.timeout(180)
QUICK = RunOptions(limits=Limits(deadline_s=2.0, patience_s=3.0))

# One test has a child of the real kind; each of those imports torch.
WARM = pytest.mark.usefixtures("warm_children")


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """An encoder that behaves as a file says."""
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv(bad_encoders.FOLDER, str(tmp_path / "notes"))
    return ModelSpec(model="bad", pretrained="x", encoder="tests.execution.bad_encoders:build")


def behave(tmp_path: Path, words: str) -> None:
    (tmp_path / "notes" / "bad").write_text(words)


def forget_decoded(tmp_path: Path) -> None:
    """Images that a run decoded would be there although their files are not."""
    for folder in (tmp_path / "tmp").glob("vlmsel-decoded-*"):
        shutil.rmtree(folder)


@pytest.fixture
def one_task(tasks: TaskCatalog) -> TaskCatalog:
    return TaskCatalog(tasks=tasks.tasks[:1])


def stored(store: Path, wants: list[Want]) -> pl.DataFrame:
    """All rows of all kinds, one below the other."""
    here = Store(store)
    scans = [here.scan(here.cells(w.measurement.kind, w.measurement.digest)).rows for w in wants]
    return pl.concat(scans, how="diagonal")


@WARM
def test_what_ends_or_blocks_a_child_is_tried_again_in_another(
    bad: ModelSpec,
    one_task: TaskCatalog,
    wants: list[Want],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    zoo = Zoo(models=(bad,))
    with monkeypatch.context() as patch:
        patch.setattr("vlmsel.execution.executors.local.ChildWorker", threads.ThreadWorker)
        behave(tmp_path, "")
        assert measure(zoo, one_task, Store(tmp_path / "calm"), wants).measured == 1
    behave(tmp_path, "crash loop")
    begin = time.monotonic()
    summary = measure(zoo, one_task, Store(tmp_path / "s"), wants, options=QUICK)
    assert (summary.measured, summary.exit_code()) == (1, 0)
    # The loop was waited for, thrice the deadline where the model is loaded.
    assert time.monotonic() - begin > 6.0
    same = stored(tmp_path / "calm", wants)
    assert_frame_equal(stored(tmp_path / "s", wants), same, check_exact=True)


@WARM
@pytest.mark.parametrize(("how", "reason"), [("exit", "asked to exit"), ("os-exit", "exit code 0")])
def test_an_encoder_that_always_exits_fails_its_cell_and_not_the_others(
    how: str,
    reason: str,
    bad: ModelSpec,
    zoo: Zoo,
    one_task: TaskCatalog,
    wants: list[Want],
    tmp_path: Path,
) -> None:
    behave(tmp_path, f"{how} " * 1000)
    both = Zoo(models=(bad, zoo.models[0]))
    options = RunOptions(limits=replace(QUICK.limits, max_tries=2))
    summary = measure(both, one_task, Store(tmp_path / "s"), wants, options=options)
    assert (summary.measured, summary.exit_code()) == (1, 1)
    [failure] = summary.failures
    assert failure.model == "bad"
    assert reason in failure.reason
    again = measure(both, one_task, Store(tmp_path / "s"), wants, options=options)
    assert (again.measured, again.failed_before, again.exit_code()) == (0, 1, 1)


def test_a_model_at_which_a_run_died_gets_a_process_of_its_own(
    zoo: Zoo,
    one_task: TaskCatalog,
    wants: list[Want],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Zoo(models=zoo.models[:1])
    measure(one, one_task, Store(tmp_path / "calm"), wants)
    name = one.models[0].name
    monkeypatch.setattr(InFlight, "suspects", frozenset({name}), raising=False)
    monkeypatch.setattr(InFlight, "__init__", lambda self: setattr(self, "_left", []))
    here: list[int] = []
    monkeypatch.setattr(
        "vlmsel.execution.executors.local.ThreadWorker", lambda *_: here.append(os.getpid())
    )
    summary = measure(one, one_task, Store(tmp_path / "s"), wants)
    assert (summary.measured, here) == (1, [])
    same = stored(tmp_path / "calm", wants)
    assert_frame_equal(stored(tmp_path / "s", wants), same, check_exact=True)


@WARM
def test_a_model_that_hangs_here_is_tried_again_in_a_child(
    zoo: Zoo,
    one_task: TaskCatalog,
    wants: list[Want],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = threading.Event()

    def hang(*_: object, **__: object) -> None:
        free.wait(60)
        raise RuntimeError("late")

    monkeypatch.setattr("vlmsel.probes.profile_probe.attribute", hang)
    one = Zoo(models=zoo.models[:1])
    summary = measure(one, one_task, Store(tmp_path / "s"), wants, options=QUICK)
    free.set()
    assert (summary.measured, summary.exit_code()) == (1, 0)


def test_images_that_are_away_for_a_second_cost_nothing_but_time(
    zoo: Zoo, tasks: TaskCatalog, wants: list[Want], tmp_path: Path
) -> None:
    """A unit of three cells is read once, and waits as one."""
    wants = [*wants, Want(Prediction()), Want(Embedding())]
    measure(zoo, tasks, Store(tmp_path / "calm"), wants)
    store = Store(tmp_path / "s")
    plan = plan_measurements(zoo, tasks, store, wants, options=QUICK)
    images, away = tmp_path / "images", tmp_path / "away"
    forget_decoded(tmp_path)
    images.rename(away)
    timer = threading.Timer(1.0, away.rename, [images])
    timer.start()
    begin = time.monotonic()
    summary = execute(plan, store, options=QUICK)
    timer.join()
    assert time.monotonic() - begin > 1.0
    assert (summary.measured, summary.exit_code()) == (18, 0)
    same = stored(tmp_path / "calm", wants)
    assert_frame_equal(stored(tmp_path / "s", wants), same, check_exact=True)


def test_images_that_stay_away_end_the_run_and_the_next_one_heals_it(
    zoo: Zoo, tasks: TaskCatalog, wants: list[Want], tmp_path: Path
) -> None:
    # Six cells of the first model: an outage is told by four.
    wants = [*wants, Want(Embedding())]
    measure(zoo, tasks, Store(tmp_path / "calm"), wants)
    store = Store(tmp_path / "s")
    plan = plan_measurements(zoo, tasks, store, wants, options=QUICK)
    images, away = tmp_path / "images", tmp_path / "away"
    forget_decoded(tmp_path)
    images.rename(away)
    with pytest.raises(ExecutionError, match="most of what is read cannot be read"):
        execute(plan, store, options=QUICK)
    assert store.failed("profile", wants[0].measurement.digest).is_empty()
    away.rename(images)
    healed = measure(zoo, tasks, store, wants, options=QUICK)
    assert (healed.measured, healed.exit_code()) == (12, 0)
    same = stored(tmp_path / "calm", wants)
    assert_frame_equal(stored(tmp_path / "s", wants), same, check_exact=True)


def test_one_image_that_stays_away_is_left_out_and_measured_by_the_next_run(
    zoo: Zoo, tasks: TaskCatalog, wants: list[Want], tmp_path: Path
) -> None:
    measure(zoo, tasks, Store(tmp_path / "calm"), wants)
    store = Store(tmp_path / "s")
    plan = plan_measurements(zoo, tasks, store, wants, options=QUICK)
    image, away = tmp_path / "images" / "a" / "circle" / "0.png", tmp_path / "0.png"
    forget_decoded(tmp_path)
    image.rename(away)
    partly = execute(plan, store, options=QUICK)
    assert (partly.measured, len(partly.failures), partly.exit_code()) == (6, 2, 1)
    away.rename(image)
    healed = measure(zoo, tasks, store, wants, options=QUICK)
    assert (healed.measured, healed.skipped, healed.exit_code()) == (2, 4, 0)
    same = stored(tmp_path / "calm", wants)
    assert_frame_equal(stored(tmp_path / "s", wants), same, check_exact=True)


def test_a_store_that_is_away_for_a_second_loses_nothing(
    zoo: Zoo,
    tasks: TaskCatalog,
    wants: list[Want],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure(zoo, tasks, Store(tmp_path / "calm"), wants)
    until = [0.0]
    replace = os.replace

    def stale(source: str, target: str) -> None:
        until[0] = until[0] or time.monotonic() + 1.0
        if time.monotonic() < until[0] and str(target).endswith(".parquet"):
            raise OSError(errno.ESTALE, "Stale file handle")
        replace(source, target)

    monkeypatch.setattr("vlmsel.store.local_folder.os.replace", stale)
    summary = measure(zoo, tasks, Store(tmp_path / "s"), wants, options=QUICK)
    assert (summary.measured, summary.exit_code()) == (6, 0)
    same = stored(tmp_path / "calm", wants)
    assert_frame_equal(stored(tmp_path / "s", wants), same, check_exact=True)


def test_a_full_disk_ends_the_run_at_once(
    zoo: Zoo,
    tasks: TaskCatalog,
    wants: list[Want],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full: free space and run again, nothing measured is lost")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "write_atomic", full)
        with pytest.raises(StoreError, match="the disk is full"):
            measure(zoo, tasks, Store(tmp_path / "s"), wants, options=QUICK)
    assert measure(zoo, tasks, Store(tmp_path / "s"), wants, options=QUICK).measured == 6
