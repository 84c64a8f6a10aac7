"""Real Ray, real models: the same cells as here, placed where they belong, whoever is killed."""

import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import ray
from polars.testing import assert_frame_equal

import vlmsel
from tests.execution.conftest import draw_task
from tests.integration.light_worker import AT_ONCE, LightWorker
from tests.integration.problem import Wants, assert_equal_stores, stored, stored_cells
from vlmsel.errors import ExecutionError, StoreError
from vlmsel.execution.executors.ray.actor_pool import run_ray
from vlmsel.execution.executors.ray.session import (
    IN_JOB,
    _runtime_env,
    cluster_resources,
    hold_gpus,
)
from vlmsel.execution.plan.placement import Node, Resources
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.run import measure
from vlmsel.measurements import Embedding, Want
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.xdist_group("ray")]

# Two models, six tasks, three kinds.
N_CELLS = 36
ON_RAY = RunOptions(executor="ray")
# Every actor imports torch and open_clip: seconds each, so tests take as few as they can.
ONE_ACTOR = RunOptions(executor="ray", n_workers=1)


def test_the_cluster_is_seen_as_it_is() -> None:
    assert cluster_resources() == Resources((Node(2.0, 2, None),))


def test_ray_gives_the_same_cells_as_here_bit_for_bit(
    zoo: Zoo,
    tasks: TaskCatalog,
    wants: Wants,
    tmp_path: Path,
    undisturbed: dict[str, pl.DataFrame],
) -> None:
    seen: list[CellOutcome] = []
    store = Store(tmp_path / "store")
    summary = measure(zoo, tasks, store, wants, options=ON_RAY, on_outcome=seen.append)
    assert (summary.measured, summary.exit_code()) == (N_CELLS, 0)
    assert_equal_stores(stored(store.uri, wants), undisturbed)
    gpu_of: dict[str, set[str]] = {}
    for outcome in seen:
        gpu_of.setdefault(outcome.cell.model, set()).add(outcome.place.rpartition("gpu ")[2])
    # Two models, two GPUs: one each, and nobody moved.
    assert sorted(gpu_of.values(), key=str) == [{"0"}, {"1"}]
    again = measure(zoo, tasks, store, wants, options=ON_RAY)
    assert (again.measured, again.skipped) == (0, N_CELLS)


def test_predictions_of_stored_embeddings_are_those_of_a_forward_pass(
    zoo: Zoo,
    tasks: TaskCatalog,
    wants: Wants,
    tmp_path: Path,
    undisturbed: dict[str, pl.DataFrame],
) -> None:
    store = Store(tmp_path / "store")
    assert measure(zoo, tasks, store, [Want(Embedding())]).measured == 12
    (prediction,) = (want for want in wants if want.kind == "prediction")
    summary = measure(zoo, tasks, store, [prediction], options=ONE_ACTOR)
    assert (summary.measured, summary.total.n_decoded, summary.exit_code()) == (12, 0, 0)
    found = stored(store.uri, (prediction,))["prediction"]
    assert_frame_equal(found, undisturbed["prediction"], check_exact=True)


@pytest.fixture
def light_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors that import no torch, for what is asked of their places alone."""
    monkeypatch.setattr("vlmsel.execution.executors.ray.actor_pool.RayWorker", LightWorker)


@pytest.mark.usefixtures("light_actors")
def test_one_model_spreads_over_both_gpus(zoo: Zoo, tmp_path: Path, wants: Wants) -> None:
    (tmp_path / AT_ONCE).write_text("2")
    tasks = TaskCatalog(
        tasks=tuple(draw_task(tmp_path / "images" / f"t{i}", i, n_images=4) for i in range(8))
    )
    seen: list[CellOutcome] = []
    one = Zoo(models=zoo.models[:1])
    store = Store(tmp_path / "store")
    plan = plan_measurements(one, tasks, store, wants, options=ON_RAY)
    summary = run_ray(plan, store.uri, ON_RAY, on_outcome=seen.append, start_s=0.0)
    assert summary.measured == 8 * len(wants)
    assert {outcome.place.rpartition("gpu ")[2] for outcome in seen} == {"0", "1"}


@pytest.mark.usefixtures("light_actors")
def test_an_actor_without_work_gives_its_gpu_to_one_that_waits_for_it(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, wants: Wants
) -> None:
    """Somebody else holds a GPU, which no list of the cluster's resources tells."""

    class Tenant:
        def ready(self) -> bool:
            return True

    tenant = ray.remote(Tenant).options(num_gpus=1, num_cpus=0).remote()
    assert ray.get(tenant.ready.remote())
    try:
        two = TaskCatalog(tasks=tasks.tasks[:2])
        summary = measure(zoo, two, Store(tmp_path / "store"), wants, options=ON_RAY)
    finally:
        ray.kill(tenant)
    assert (summary.measured, summary.n_failures) == (4 * len(wants), 0)


@pytest.mark.usefixtures("light_actors")
def test_small_models_share_one_gpu_by_declared_memory(
    zoo: Zoo,
    tasks: TaskCatalog,
    tmp_path: Path,
    wants: Wants,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = Zoo(models=tuple(m.model_copy(update={"memory_gb": 10.0}) for m in zoo.models))
    one_gpu = Resources((Node(2.0, 1, 24.0),))
    monkeypatch.setattr(
        "vlmsel.execution.executors.ray.actor_pool.cluster_resources", lambda: one_gpu
    )
    # Two processes at work at once, each with half of the same GPU.
    (tmp_path / AT_ONCE).write_text("2")
    seen: list[CellOutcome] = []
    two = TaskCatalog(tasks=tasks.tasks[:2])
    store = Store(tmp_path / "store")
    summary = measure(small, two, store, wants, options=ON_RAY, on_outcome=seen.append)
    assert summary.measured == 4 * len(wants)
    places = {outcome.place for outcome in seen}
    assert len(places) == 2
    assert len({place.rpartition("gpu ")[2] for place in places}) == 1


def test_a_demand_that_the_cluster_cannot_meet_fails_fast_and_names_both(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, wants: Wants
) -> None:
    plan = plan_measurements(zoo, tasks, Store(tmp_path / "s"), wants)
    with pytest.raises(ExecutionError, match=r"asks for 64 CPU\(s\).*2 CPUs and 2 GPUs"):
        run_ray(plan, str(tmp_path / "s"), RunOptions(executor="ray", threads=64))
    # At once, not after a quarter of an hour: this cluster has no autoscaler.
    with (
        pytest.raises(ExecutionError, match=r"asked for 5 GPU\(s\).*2 GPUs and no autoscaler"),
        hold_gpus(5, timeout_s=900.0),
    ):
        pass
    with hold_gpus(2, timeout_s=0.0):
        pass


def test_the_package_is_sent_but_to_the_workers_of_ones_own_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = {"py_modules": [str(Path(vlmsel.__file__).parent)]}
    monkeypatch.delenv(IN_JOB, raising=False)
    assert _runtime_env(None) == _runtime_env("10.0.0.1:6379") == sent
    monkeypatch.setenv(IN_JOB, "{}")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert [_runtime_env(at) for at in (None, "auto", "10.0.0.1:6379")] == [{}] * 3
    assert _runtime_env("10.0.0.2:6379") == sent


def test_an_autoscaling_cluster_is_waited_for_and_what_came_is_used(
    ray_cluster: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wishes: list[list[dict[str, int]]] = []
    monkeypatch.setattr("vlmsel.execution.executors.ray.session._can_grow", lambda: True)
    monkeypatch.setattr(
        "vlmsel.execution.executors.ray.session.request_resources",
        lambda bundles: wishes.append(bundles),
    )
    with hold_gpus(5, timeout_s=0.0):
        assert wishes == [[{"GPU": 1}] * 5]
    assert "asked for 5 GPUs, got" in caplog.text
    # The wish is taken back, or the nodes would never be given up.
    assert wishes[1:] == [[]]
    with hold_gpus(5, timeout_s=0.0, n_useful=3):
        assert wishes[-1] == [{"GPU": 1}] * 3
    bare = Resources((Node(2.0, 0),))
    monkeypatch.setattr("vlmsel.execution.executors.ray.session.cluster_resources", lambda: bare)
    with (
        pytest.raises(ExecutionError, match=r"asked for 5 GPU\(s\) and after 0 s .* 0 GPUs"),
        hold_gpus(5, timeout_s=0.0),
    ):
        pass
    assert wishes[-1] == []


def test_a_corrupt_image_and_a_broken_model_are_failures_on_ray_as_here(
    zoo: Zoo, tmp_path: Path, wants: Wants
) -> None:
    task = draw_task(tmp_path / "images" / "t", 3)
    (tmp_path / "images" / "t" / "circle" / "0.png").write_bytes(b"broken")
    catalog = TaskCatalog(tasks=(task,))
    found = {}
    for executor, options in (("local", RunOptions()), ("ray", ONE_ACTOR)):
        summary = measure(zoo, catalog, Store(tmp_path / executor), wants, options=options)
        found[executor] = sorted(str(replace(failure, place="")) for failure in summary.failures)
        # On Ray a failure says on which host.
        assert {bool(failure.place) for failure in summary.failures} == {executor == "ray"}
        assert (summary.measured, summary.exit_code()) == (2 * len(wants), 1)
        # The image fails in every kind's cell of both models.
        assert len(found[executor]) == 2 * len(wants)
    assert found["ray"] == found["local"]


def test_a_full_disk_ends_the_run_with_the_store_s_own_error_and_loses_nothing(
    zoo: Zoo,
    tasks: TaskCatalog,
    small_disk: Path,
    wants: Wants,
    undisturbed: dict[str, pl.DataFrame],
) -> None:
    store = Store(small_disk / "store")
    with pytest.raises(StoreError, match="the disk is full: free space and run again"):
        measure(zoo, tasks, store, wants, options=ONE_ACTOR)
    measured = stored_cells(store.uri, wants)
    assert 0 < len(measured) < N_CELLS
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    rest = measure(zoo, tasks, store, wants)
    # The actor may have finished a cell that still fitted.
    assert 0 < rest.measured <= N_CELLS - len(measured)
    assert rest.exit_code() == 0
    assert_equal_stores(stored(store.uri, wants), undisturbed)
