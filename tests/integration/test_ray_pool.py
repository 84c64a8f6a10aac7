"""Real Ray, real models: the same cells as here, placed where they belong, whoever is killed."""

import subprocess
from pathlib import Path

import polars as pl
import pytest
import ray
from polars.testing import assert_frame_equal

import vlmsel
from tests.execution.conftest import draw_task
from vlmsel.errors import ExecutionError, StoreError
from vlmsel.execution.cells import CellOutcome
from vlmsel.execution.options import RunOptions
from vlmsel.execution.placement import Node, Resources
from vlmsel.execution.prepare import plan_profiles
from vlmsel.execution.ray_pool import run_ray
from vlmsel.execution.ray_session import IN_JOB, _runtime_env, asked_gpus, cluster_resources
from vlmsel.execution.run import run_accuracy, run_profile
from vlmsel.settings import AttributionSettings
from vlmsel.store.accuracies import AccuracyStore
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.xdist_group("ray")]

ON_RAY = RunOptions(executor="ray")
# Every actor imports torch and open_clip: seconds each, so tests take as few as they can.
ONE_ACTOR = RunOptions(executor="ray", n_workers=1)


@pytest.fixture(scope="module")
def reference(
    zoo: Zoo,
    tasks: TaskCatalog,
    settings: AttributionSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> pl.DataFrame:
    """What the local executor measures."""
    store = str(tmp_path_factory.mktemp("local"))
    assert run_profile(zoo, tasks, store, settings).exit_code() == 0
    return ProfileStore(store).scan(settings.digest)


def test_the_cluster_is_seen_as_it_is() -> None:
    assert cluster_resources() == Resources((Node(2.0, 2, None),))


def test_ray_gives_the_same_cells_as_here_bit_for_bit(
    zoo: Zoo,
    tasks: TaskCatalog,
    settings: AttributionSettings,
    tmp_path: Path,
    reference: pl.DataFrame,
) -> None:
    seen: list[CellOutcome] = []
    store = str(tmp_path / "store")
    summary = run_profile(zoo, tasks, store, settings, options=ON_RAY, on_outcome=seen.append)
    assert (summary.measured, summary.exit_code()) == (12, 0)
    assert_frame_equal(ProfileStore(store).scan(settings.digest), reference, check_exact=True)
    gpu_of: dict[str, set[str]] = {}
    for outcome in seen:
        gpu_of.setdefault(outcome.cell.model, set()).add(outcome.place.rpartition("gpu ")[2])
    # Two models, two GPUs: one each, and nobody moved.
    assert sorted(gpu_of.values(), key=str) == [{"0"}, {"1"}]
    again = run_profile(zoo, tasks, store, settings, options=ON_RAY)
    assert (again.measured, again.skipped) == (0, 12)


def test_accuracies_go_through_the_same_loop(zoo: Zoo, tasks: TaskCatalog, tmp_path: Path) -> None:
    run_accuracy(zoo, tasks, str(tmp_path / "local"))
    summary = run_accuracy(zoo, tasks, str(tmp_path / "ray"), options=ONE_ACTOR)
    assert (summary.measured, summary.exit_code()) == (12, 0)
    here, there = (AccuracyStore(tmp_path / name).scan() for name in ("local", "ray"))
    assert_frame_equal(there, here, check_exact=True)


def test_one_model_spreads_over_both_gpus(
    zoo: Zoo, tmp_path: Path, settings: AttributionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlmsel.execution.ray_pool.START_S", 0.0)
    tasks = TaskCatalog(
        tasks=tuple(draw_task(tmp_path / "images" / f"t{i}", i, n_images=4) for i in range(8))
    )
    seen: list[CellOutcome] = []
    one = Zoo(models=zoo.models[:1])
    store = str(tmp_path / "store")
    summary = run_profile(one, tasks, store, settings, options=ON_RAY, on_outcome=seen.append)
    assert summary.measured == 8
    assert {outcome.place.rpartition("gpu ")[2] for outcome in seen} == {"0", "1"}


def test_an_actor_without_work_gives_its_gpu_to_one_that_waits_for_it(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    """Somebody else holds a GPU, which no list of the cluster's resources tells."""

    class Tenant:
        def ready(self) -> bool:
            return True

    tenant = ray.remote(Tenant).options(num_gpus=1, num_cpus=0).remote()
    assert ray.get(tenant.ready.remote())
    try:
        two = TaskCatalog(tasks=tasks.tasks[:2])
        summary = run_profile(zoo, two, str(tmp_path / "store"), settings, options=ON_RAY)
    finally:
        ray.kill(tenant)
    assert (summary.measured, summary.n_failures) == (4, 0)


def test_small_models_share_one_gpu_by_declared_memory(
    zoo: Zoo,
    tasks: TaskCatalog,
    tmp_path: Path,
    settings: AttributionSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = Zoo(models=tuple(m.model_copy(update={"memory_gb": 10.0}) for m in zoo.models))
    one_gpu = Resources((Node(2.0, 1, 24.0),))
    monkeypatch.setattr("vlmsel.execution.ray_pool.cluster_resources", lambda: one_gpu)
    seen: list[CellOutcome] = []
    two = TaskCatalog(tasks=tasks.tasks[:2])
    summary = run_profile(
        small, two, str(tmp_path / "store"), settings, options=ON_RAY, on_outcome=seen.append
    )
    assert summary.measured == 4
    # Two processes at work at once, each with half of the same GPU.
    places = {outcome.place for outcome in seen}
    assert len(places) == 2
    assert len({place.rpartition("gpu ")[2] for place in places}) == 1


def test_a_demand_that_the_cluster_cannot_meet_fails_fast_and_names_both(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    plan = plan_profiles(zoo, tasks, str(tmp_path / "s"), settings)
    with pytest.raises(ExecutionError, match=r"asks for 64 CPU\(s\).*2 CPUs and 2 GPUs"):
        run_ray(plan, str(tmp_path / "s"), RunOptions(executor="ray", threads=64))
    # At once, not after a quarter of an hour: this cluster has no autoscaler.
    with (
        pytest.raises(ExecutionError, match=r"asked for 5 GPU\(s\).*2 GPUs and no autoscaler"),
        asked_gpus(5, timeout_s=900.0),
    ):
        pass
    with asked_gpus(2, timeout_s=0.0):
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
    monkeypatch.setattr("vlmsel.execution.ray_session._can_grow", lambda: True)
    monkeypatch.setattr(
        "vlmsel.execution.ray_session.request_resources", lambda bundles: wishes.append(bundles)
    )
    with asked_gpus(5, timeout_s=0.0):
        assert wishes == [[{"GPU": 1}] * 5]
    assert "asked for 5 GPUs, got" in caplog.text
    # The wish is taken back, or the nodes would never be given up.
    assert wishes[1:] == [[]]
    with asked_gpus(5, timeout_s=0.0, n_useful=3):
        assert wishes[-1] == [{"GPU": 1}] * 3
    bare = Resources((Node(2.0, 0),))
    monkeypatch.setattr("vlmsel.execution.ray_session.cluster_resources", lambda: bare)
    with (
        pytest.raises(ExecutionError, match=r"asked for 5 GPU\(s\) and after 0 s .* 0 GPUs"),
        asked_gpus(5, timeout_s=0.0),
    ):
        pass
    assert wishes[-1] == []


def test_a_corrupt_image_and_a_broken_model_are_failures_on_ray_as_here(
    zoo: Zoo, tmp_path: Path, settings: AttributionSettings
) -> None:
    task = draw_task(tmp_path / "images" / "t", 3)
    (tmp_path / "images" / "t" / "circle" / "0.png").write_bytes(b"broken")
    catalog = TaskCatalog(tasks=(task,))
    found = {}
    for executor, options in (("local", RunOptions()), ("ray", ONE_ACTOR)):
        summary = run_profile(zoo, catalog, str(tmp_path / executor), settings, options=options)
        found[executor] = sorted(map(str, summary.failures))
        assert (summary.measured, summary.exit_code()) == (2, 1)
    assert found["ray"] == found["local"]


def test_a_full_disk_ends_the_run_with_the_store_s_own_error_and_loses_nothing(
    zoo: Zoo,
    tasks: TaskCatalog,
    small_disk: Path,
    settings: AttributionSettings,
    reference: pl.DataFrame,
) -> None:
    store = str(small_disk / "store")
    with pytest.raises(StoreError, match="the disk is full: free space and run again"):
        run_profile(zoo, tasks, store, settings, options=ONE_ACTOR)
    measured = ProfileStore(store).measured(settings.digest)
    assert 0 < len(measured) < 12
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    rest = run_profile(zoo, tasks, store, settings)
    # The actor may have finished a cell that still fitted.
    assert 0 < rest.measured <= 12 - len(measured)
    assert rest.exit_code() == 0
    assert_frame_equal(ProfileStore(store).scan(settings.digest), reference, check_exact=True)
