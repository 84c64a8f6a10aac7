"""Whole local runs over real demo models."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.execution.conftest import draw_task
from vlmsel.errors import ExecutionError, ImageError, ModelError, TaskError
from vlmsel.execution import local
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan, describe_plan
from vlmsel.execution.prepare import plan_profiles
from vlmsel.execution.run import run_accuracy, run_profile
from vlmsel.execution.summary import RunSummary
from vlmsel.execution.timings import read_timings
from vlmsel.settings import AttributionSettings
from vlmsel.store.accuracies import AccuracyStore
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.catalog import TaskCatalog, TaskSpec
from vlmsel.tasks.decode import decode_image
from vlmsel.zoo.catalog import ModelSpec, Zoo


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def files(store: str) -> list[Path]:
    return sorted(Path(store).rglob("*.parquet"))


def test_a_second_run_measures_nothing(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> None:
    first = run_profile(zoo, tasks, store, settings)
    assert (first.measured, first.exit_code()) == (6, 0)
    before = {path: path.stat().st_mtime_ns for path in files(store)}
    again = run_profile(zoo, tasks, store, settings)
    assert (again.measured, again.skipped, again.exit_code()) == (0, 6, 0)
    assert {path: path.stat().st_mtime_ns for path in files(store)} == before


def test_models_of_one_preprocessing_decode_an_image_once(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> None:
    summary = run_profile(zoo, tasks, store, settings)
    assert summary.total.n_images == 36
    assert summary.total.n_decoded == 18


def test_workers_get_places_that_mean_the_same_in_any_folder(
    tmp_path: Path, zoo: Zoo, settings: AttributionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec, *_) = zoo.models
    assert spec.weights is not None
    monkeypatch.chdir(tmp_path)
    os.symlink(spec.weights, "link")
    relative = Zoo(models=(spec.model_copy(update={"weights": "link"}),))
    draw_task(tmp_path / "drawn" / "images", 0)
    tasks = TaskCatalog(tasks=(TaskSpec(name="t", images="drawn/images"),))
    seen: list[tuple[Plan, str]] = []

    def worker(plan: Plan, store: str, **_: object) -> RunSummary:
        seen.append((plan, store))
        return RunSummary()

    monkeypatch.setattr(local, "run_local", worker)
    run_profile(relative, tasks, "store", settings)
    ((plan, store),) = seen
    assert store == str(tmp_path / "store")
    (work,) = plan.work
    assert work.spec.weights == str(tmp_path / "link")
    sources = {ref.source for cell in work.cells for ref in cell.shard.images}
    assert sources
    assert all(source.startswith(f"{tmp_path}/drawn/images/") for source in sources)


def test_only_what_is_new_is_measured(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings, tmp_path: Path
) -> None:
    run_profile(zoo, tasks, store, settings)
    more = TaskCatalog(tasks=(*tasks.tasks, draw_task(tmp_path / "images" / "d", 4)))
    summary = run_profile(zoo, more, store, settings)
    assert {task for _, _, task in summary.tallies} == {"d"}
    assert (summary.measured, summary.skipped) == (2, 6)


def test_fewer_images_are_other_cells(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> None:
    run_profile(zoo, tasks, store, settings)
    assert run_profile(zoo, tasks, store, settings, n_images=3).total.n_images == 18


def test_a_flipped_bit_is_found_and_the_cell_measured_again(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> None:
    run_profile(zoo, tasks, store, settings)
    whole = ProfileStore(store).scan(settings.digest)
    victim = files(store)[3]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    summary = run_profile(zoo, tasks, store, settings)
    assert (summary.measured, summary.skipped) == (1, 5)
    assert ProfileStore(store).scan(settings.digest).equals(whole)


def test_a_model_and_a_task_that_cannot_be_used_are_faults_and_the_rest_goes_on(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings, tmp_path: Path
) -> None:
    broken = ModelSpec(model="gone", pretrained="x", weights=str(tmp_path / "nowhere"))
    missing = TaskSpec(name="missing", images=str(tmp_path / "no-such-folder"))
    summary = run_profile(
        Zoo(models=(*zoo.models, broken)),
        TaskCatalog(tasks=(*tasks.tasks, missing)),
        store,
        settings,
    )
    assert (summary.measured, summary.exit_code(), summary.exit_code(2)) == (6, 1, 0)
    named = {fault.model or fault.task for fault in summary.faults}
    assert named == {"gone", "missing"}


def test_nothing_usable_is_one_clear_error(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings, tmp_path: Path
) -> None:
    broken = ModelSpec(model="gone", pretrained="x", weights=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"unknown architecture .gone."):
        run_profile(Zoo(models=(broken,)), tasks, store, settings)
    missing = TaskSpec(name="missing", images=str(tmp_path / "no-such-folder"))
    with pytest.raises(TaskError, match="no-such-folder"):
        run_profile(zoo, TaskCatalog(tasks=(missing,)), store, settings)


def test_failed_cells_are_left_alone_until_retry_failed(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: str,
    settings: AttributionSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("bad kernel")

    with monkeypatch.context() as patch:
        patch.setattr("vlmsel.execution.profiling.attribute", broken)
        assert run_profile(zoo, tasks, store, settings).total.failed == 6
    left = run_profile(zoo, tasks, store, settings)
    assert (left.measured, left.failed_before, left.exit_code()) == (0, 6, 1)
    again = run_profile(zoo, tasks, store, settings, options=RunOptions(retry_failed=True))
    assert (again.measured, again.failed_before, again.exit_code()) == (6, 0, 0)
    assert ProfileStore(store).failed(settings.digest).height == 0


def test_measured_times_make_the_next_plan(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings, tmp_path: Path
) -> None:
    summary = run_profile(zoo, tasks, store, settings)
    job = plan_profiles(zoo, tasks, store, settings).job
    assert set(read_timings(store, job)) == {spec.name for spec in zoo.models}
    more = TaskCatalog(tasks=(draw_task(tmp_path / "images" / "d", 4),))
    estimate = describe_plan(plan_profiles(zoo, more, store, settings))["estimated_s"].sum()
    # Three tasks were measured, the new one is as large as each of them.
    assert estimate == pytest.approx(summary.total.seconds / 3)


def test_a_device_that_is_not_there_fails_before_anything_is_measured(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> None:
    with pytest.raises(ExecutionError, match="cuda:9"):
        run_profile(zoo, tasks, store, settings, options=RunOptions(device="cuda:9"))
    assert files(store) == []


def test_every_outcome_is_reported(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> None:
    seen: list[str] = []
    run_profile(zoo, tasks, store, settings, on_outcome=lambda o: seen.append(str(o.cell)))
    plan = plan_profiles(zoo, tasks, store, settings)
    assert sorted(seen) == sorted(map(str, plan.wanted))


def test_an_image_that_failed_for_a_passing_reason_is_mended_by_retry_failed(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: str,
    settings: AttributionSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damaged: list[bytes] = []

    def refuses(data: bytes) -> Image.Image:
        if data in damaged:
            raise ImageError("no memory for it")
        return decode_image(data)

    # A task each: what one run has decoded, the other need not.
    for run, task in ((run_profile, tasks.tasks[0]), (run_accuracy, tasks.tasks[1])):
        one = TaskCatalog(tasks=(task,))
        args = (settings,) if run is run_profile else ()
        damaged[:] = [(Path(task.images) / "circle" / "0.png").read_bytes()]
        with monkeypatch.context() as patch:
            patch.setattr("vlmsel.execution.decoded.decode_image", refuses)
            first = run(zoo, one, store, *args)
        assert (first.measured, first.n_failures) == (2, 2)
        again = run(zoo, one, store, *args)
        assert (again.measured, set(again.earlier)) == (0, set(first.failures))
        mended = run(zoo, one, store, *args, options=RunOptions(retry_failed=True))
        assert (mended.measured, mended.n_failures, mended.total.n_images) == (2, 0, 12)
        last = run(zoo, one, store, *args, options=RunOptions(retry_failed=True))
        assert (last.measured, last.n_failures) == (0, 0)
    clean = f"{store}-undisturbed"
    run_profile(zoo, TaskCatalog(tasks=tasks.tasks[:1]), clean, settings)
    assert ProfileStore(store).scan().equals(ProfileStore(clean).scan())
    assert AccuracyStore(store).scan()["n_images"].to_list() == [6, 6]


def test_a_run_cleans_what_a_killed_one_left(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> None:
    run_profile(zoo, tasks, store, settings, n_images=2)
    left = files(store)[0].parent / ".0123456789ab-1-1.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    run_profile(zoo, tasks, store, settings, n_images=2)
    assert left.exists(), "nothing to do: nothing is touched"
    run_profile(zoo, tasks, store, settings, n_images=3)
    assert not left.exists()
