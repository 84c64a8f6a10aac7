"""Whole local runs over real demo models."""

import os
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.execution.conftest import draw_task
from vlmsel.errors import ExecutionError, ImageError, ModelError, TaskError
from vlmsel.execution.executors import local
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.timings import read_timings
from vlmsel.execution.plan.work_plan import Plan, describe_plan
from vlmsel.execution.run import measure
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements import Embedding, Measurement, Prediction, Profile, Want
from vlmsel.store.store import Store
from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec
from vlmsel.zoo.catalog import ModelSpec, Zoo


def files(store: Store) -> list[Path]:
    return sorted(Path(store.uri).rglob("*.parquet"))


def rows(store: Store, measurement: Measurement) -> pl.DataFrame:
    return store.scan(store.cells(measurement.kind, measurement.digest)).rows


def test_a_second_run_measures_nothing(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want]
) -> None:
    first = measure(zoo, tasks, store, wants)
    assert (first.measured, first.exit_code()) == (6, 0)
    before = {path: path.stat().st_mtime_ns for path in files(store)}
    again = measure(zoo, tasks, store, wants)
    assert (again.measured, again.skipped, again.exit_code()) == (0, 6, 0)
    assert {path: path.stat().st_mtime_ns for path in files(store)} == before


def test_models_of_one_preprocessing_decode_an_image_once(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want]
) -> None:
    summary = measure(zoo, tasks, store, wants)
    assert summary.total.n_images == 36
    assert summary.total.n_decoded == 18


def test_workers_get_places_that_mean_the_same_in_any_folder(
    tmp_path: Path, zoo: Zoo, wants: list[Want], monkeypatch: pytest.MonkeyPatch
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
    measure(relative, tasks, Store("store"), wants)
    ((plan, store),) = seen
    assert store == str(tmp_path / "store")
    (work,) = plan.work
    assert work.spec.weights == str(tmp_path / "link")
    sources = {ref.source for unit in work.units for ref in unit.shard.images}
    assert sources
    assert all(source.startswith(f"{tmp_path}/drawn/images/") for source in sources)


def test_only_what_is_new_is_measured(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want], tmp_path: Path
) -> None:
    measure(zoo, tasks, store, wants)
    more = TaskCatalog(tasks=(*tasks.tasks, draw_task(tmp_path / "images" / "d", 4)))
    summary = measure(zoo, more, store, wants)
    assert {task for *_, task in summary.tallies} == {"d"}
    assert (summary.measured, summary.skipped) == (2, 6)


def test_fewer_images_are_other_cells(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    measure(zoo, tasks, store, [Want(profile)])
    assert measure(zoo, tasks, store, [Want(profile, 3)]).total.n_images == 18


def test_more_images_measure_the_new_ones_only(
    zoo: Zoo, store: Store, profile: Profile, tmp_path: Path
) -> None:
    one = Zoo(models=zoo.models[1:])
    many = TaskCatalog(tasks=(draw_task(tmp_path / "many", 5, n_images=30),))
    assert measure(one, many, store, [Want(Embedding(), 25)]).total.n_images == 25
    both = measure(one, many, store, [Want(profile, 25), Want(Embedding())])
    images = {kind: tally.n_images for (kind, *_), tally in both.tallies.items()}
    assert images == {"profile": 25, "embedding": 5}


def test_a_flipped_bit_is_found_and_the_cell_measured_again(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    wants = [Want(profile)]
    measure(zoo, tasks, store, wants)
    whole = rows(store, profile)
    victim = files(store)[3]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    summary = measure(zoo, tasks, store, wants)
    assert (summary.measured, summary.skipped) == (1, 5)
    assert rows(store, profile).equals(whole)


def test_a_model_and_a_task_that_cannot_be_used_are_faults_and_the_rest_goes_on(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want], tmp_path: Path
) -> None:
    broken = ModelSpec(model="gone", pretrained="x", weights=str(tmp_path / "nowhere"))
    missing = TaskSpec(name="missing", images=str(tmp_path / "no-such-folder"))
    summary = measure(
        Zoo(models=(*zoo.models, broken)),
        TaskCatalog(tasks=(*tasks.tasks, missing)),
        store,
        wants,
    )
    assert (summary.measured, summary.exit_code(), summary.exit_code(2)) == (6, 1, 0)
    named = {fault.model or fault.task for fault in summary.faults}
    assert named == {"gone", "missing"}


def test_nothing_usable_is_one_clear_error(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want], tmp_path: Path
) -> None:
    broken = ModelSpec(model="gone", pretrained="x", weights=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"unknown architecture .gone."):
        measure(Zoo(models=(broken,)), tasks, store, wants)
    missing = TaskSpec(name="missing", images=str(tmp_path / "no-such-folder"))
    with pytest.raises(TaskError, match="no-such-folder"):
        measure(zoo, TaskCatalog(tasks=(missing,)), store, wants)


def test_failed_cells_are_left_alone_until_retry_failed(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: Store,
    profile: Profile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("bad kernel")

    wants = [Want(profile)]
    with monkeypatch.context() as patch:
        patch.setattr("vlmsel.probes.profile_probe.attribute", broken)
        assert measure(zoo, tasks, store, wants).total.failed == 6
    left = measure(zoo, tasks, store, wants)
    assert (left.measured, left.failed_before, left.exit_code()) == (0, 6, 1)
    again = measure(zoo, tasks, store, wants, options=RunOptions(retry_failed=True))
    assert (again.measured, again.failed_before, again.exit_code()) == (6, 0, 0)
    assert store.failed("profile", profile.digest).height == 0


def test_measured_times_make_the_next_plan(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile, tmp_path: Path
) -> None:
    wants = [Want(profile), Want(Prediction())]
    summary = measure(zoo, tasks, store, wants)
    for want in wants:
        assert set(read_timings(store, want.measurement)) == {spec.name for spec in zoo.models}
    more = TaskCatalog(tasks=(draw_task(tmp_path / "images" / "d", 4),))
    plan = plan_measurements(zoo, more, store, wants)
    # Three tasks were measured, the new one is as large as each of them.
    assert describe_plan(plan)["estimated_s"].sum() == pytest.approx(summary.total.seconds / 3)
    assert plan.guessed == frozenset()
    assert plan_measurements(zoo, more, store, [Want(Embedding())]).guessed == {
        spec.name for spec in zoo.models
    }


def test_a_device_that_is_not_there_fails_before_anything_is_measured(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want]
) -> None:
    with pytest.raises(ExecutionError, match="cuda:9"):
        measure(zoo, tasks, store, wants, options=RunOptions(device="cuda:9"))
    assert files(store) == []


def test_every_outcome_is_reported(
    zoo: Zoo, tasks: TaskCatalog, store: Store, wants: list[Want]
) -> None:
    seen: list[str] = []
    measure(zoo, tasks, store, wants, on_outcome=lambda o: seen.append(str(o.cell)))
    plan = plan_measurements(zoo, tasks, store, wants)
    assert sorted(seen) == sorted(map(str, plan.wanted))


def test_an_image_that_failed_for_a_passing_reason_is_mended_by_retry_failed(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: Store,
    profile: Profile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damaged: list[bytes] = []

    def refuses(data: bytes) -> Image.Image:
        if data in damaged:
            raise ImageError("no memory for it")
        return decode_image(data)

    kinds = (profile, Prediction(), Embedding())
    # A task each: what one run has decoded, the other need not.
    for measurement, task in zip(kinds, tasks.tasks, strict=True):
        one, wants = TaskCatalog(tasks=(task,)), [Want(measurement)]
        damaged[:] = [(Path(task.images) / "circle" / "0.png").read_bytes()]
        with monkeypatch.context() as patch:
            patch.setattr("vlmsel.execution.work.decoded_images.decode_image", refuses)
            first = measure(zoo, one, store, wants)
        assert (first.measured, first.n_failures) == (2, 2)
        again = measure(zoo, one, store, wants)
        assert (again.measured, set(again.earlier)) == (0, set(first.failures))
        mended = measure(zoo, one, store, wants, options=RunOptions(retry_failed=True))
        assert (mended.measured, mended.n_failures, mended.total.n_images) == (2, 0, 12)
        last = measure(zoo, one, store, wants, options=RunOptions(retry_failed=True))
        assert (last.measured, last.n_failures) == (0, 0)
        clean = Store(f"{store.uri}-undisturbed")
        measure(zoo, one, clean, wants)
        assert rows(store, measurement).equals(rows(clean, measurement))


def test_a_run_cleans_what_a_killed_one_left(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    measure(zoo, tasks, store, [Want(profile, 2)])
    left = files(store)[0].parent / ".0123456789ab-1-1.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    measure(zoo, tasks, store, [Want(profile, 2)])
    assert left.exists(), "nothing to do: nothing is touched"
    measure(zoo, tasks, store, [Want(profile, 3)])
    assert not left.exists()
