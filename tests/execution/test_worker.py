from dataclasses import replace
from pathlib import Path

import pytest

from tests.execution.conftest import draw_task
from vlmsel.errors import MemoryLimitError, ModelError, StoreError, StoreUnavailableError
from vlmsel.execution import worker as module
from vlmsel.execution.cells import Cell, ModelWork
from vlmsel.execution.options import RunOptions, WorkerOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.prepare import plan_profiles
from vlmsel.execution.worker import ModelWorker
from vlmsel.settings import AttributionSettings
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.catalog import TaskCatalog
from vlmsel.tasks.outages import is_unavailable
from vlmsel.zoo.catalog import Zoo


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def make_plan(zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings) -> Plan:
    return plan_profiles(zoo, tasks, store, settings, options=RunOptions(verify=False))


@pytest.fixture
def work(zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings) -> ModelWork:
    return make_plan(zoo, tasks, store, settings).work[0]


@pytest.fixture
def cell(work: ModelWork) -> Cell:
    return work.cells[0]


@pytest.fixture
def worker(
    work: ModelWork, zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> ModelWorker:
    job = make_plan(zoo, tasks, store, settings).job
    return ModelWorker(work.spec, work.identity, job, WorkerOptions(store))


def only_failure(store: str, cell: Cell) -> dict[str, object]:
    [row] = ProfileStore(store).failed(cell.id.settings).rows(named=True)
    assert row["key"] == cell.id.key
    return row


def test_a_cell_is_measured_written_and_then_skipped(
    worker: ModelWorker, cell: Cell, store: str
) -> None:
    first = worker.run(cell)
    assert (first.status, first.n_images, first.failed_images) == ("measured", 6, ())
    assert first.seconds > 0
    written = ProfileStore(store).scan(cell.id.settings, cells=[cell.id])
    assert set(written["image_id"]) == {ref.image_id for ref in cell.shard.images}
    assert written["conductance"].min() > 0  # type: ignore[operator]
    again = worker.run(cell)
    assert (again.status, again.seconds, again.n_decoded) == ("skipped", 0.0, 0)


def test_the_model_is_loaded_once_for_many_cells_and_only_when_needed(
    worker: ModelWorker, work: ModelWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    real = module.load_model
    monkeypatch.setattr(
        module,
        "load_model",
        lambda spec, device: (loads.append(device), real(spec, device=device))[1],
    )
    for one in work.cells:
        worker.run(one)
    assert loads == ["cpu"]


def test_a_corrupt_image_is_named_and_the_others_are_measured(
    worker: ModelWorker, cell: Cell, store: str
) -> None:
    victim = cell.shard.images[2]
    Path(victim.source.removeprefix("file://")).write_bytes(b"no image at all")
    outcome = worker.run(cell)
    assert (outcome.status, outcome.n_images) == ("measured", 5)
    [(image_id, reason)] = outcome.failed_images
    assert image_id == victim.image_id
    assert "changed since it was indexed" in reason
    failed = ProfileStore(store).failed_images(cell.id.settings)
    assert failed["image_id"].to_list() == [victim.image_id]


def test_a_retry_that_does_no_better_leaves_what_is_stored_and_says_so(
    worker: ModelWorker, cell: Cell, store: str
) -> None:
    first, second = (Path(ref.source.removeprefix("file://")) for ref in cell.shard.images[2:4])
    first.write_bytes(b"no image at all")
    stored = worker.run(cell).failed_images
    again = replace(cell, again=True)
    second.unlink()
    worse = worker.run(again, last_try=True)
    assert (worse.status, worse.failed_images) == ("measured", stored)
    for ref in cell.shard.images:
        Path(ref.source.removeprefix("file://")).unlink(missing_ok=True)
    none = worker.run(again, last_try=True)
    assert (none.status, none.failed_images) == ("skipped", stored)
    assert ProfileStore(store).failed(cell.id.settings).is_empty()
    assert ProfileStore(store).failed_in(cell.id) == stored


def test_whatever_a_transform_raises_fails_its_cell_alone(
    work: ModelWork, worker: ModelWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = worker._model()

    def transform(image: object) -> None:
        raise IndexError("beyond")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_loaded", replace(model, transform=transform))
        assert worker.run(work.cells[0]).reason == "IndexError: beyond"
    assert worker.run(work.cells[1]).status == "measured"


def test_a_cell_that_was_mended_meanwhile_is_not_measured_again(
    worker: ModelWorker, cell: Cell
) -> None:
    assert worker.run(cell).status == "measured"
    assert worker.run(replace(cell, again=True)).status == "skipped"


def test_a_cell_without_one_readable_image_is_failed_and_not_empty(
    worker: ModelWorker, cell: Cell, store: str
) -> None:
    for ref in cell.shard.images:
        Path(ref.source.removeprefix("file://")).unlink()
    outcome = worker.run(cell)
    assert (outcome.status, outcome.transient) == ("failed", True)
    assert ProfileStore(store).failed(cell.id.settings).is_empty()
    outcome = worker.run(cell, last_try=True)
    assert (outcome.status, outcome.transient) == ("failed", False)
    assert outcome.reason is not None
    assert outcome.reason.startswith("none of 6 image(s) could be measured")
    assert not ProfileStore(store).has(cell.id)
    assert only_failure(store, cell)["kind"] == "transient"


def test_a_cell_without_one_whole_image_is_failed_for_good(
    worker: ModelWorker, cell: Cell, store: str
) -> None:
    for ref in cell.shard.images:
        Path(ref.source.removeprefix("file://")).write_bytes(b"no image at all")
    assert worker.run(cell).status == "failed"
    assert only_failure(store, cell)["kind"] == "images"


def test_an_image_that_is_away_is_waited_for_and_left_out_by_the_last_try_only(
    worker: ModelWorker, cell: Cell, store: str
) -> None:
    victim = cell.shard.images[1]
    path = Path(victim.source.removeprefix("file://"))
    data = path.read_bytes()
    path.unlink()
    away = worker.run(cell)
    assert (away.status, away.transient) == ("failed", True)
    assert not ProfileStore(store).has(cell.id)
    partly = worker.run(cell, last_try=True)
    assert (partly.status, partly.n_images) == ("measured", 5)
    [(image_id, reason)] = partly.failed_images
    assert image_id == victim.image_id
    assert is_unavailable(reason)
    path.write_bytes(data)
    whole = worker.run(replace(cell, again=True))
    assert (whole.status, whole.n_images, whole.failed_images) == ("measured", 6, ())


def test_weights_that_are_away_may_come_back(
    worker: ModelWorker, cell: Cell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = worker._spec
    with monkeypatch.context() as patch:
        patch.setattr(worker, "_spec", spec.model_copy(update={"weights": str(tmp_path / "away")}))
        outcome = worker.run(cell)
    assert (outcome.status, outcome.transient) == ("failed", True)
    assert worker.run(cell).status == "measured"


@pytest.mark.parametrize("where", ["load_model", "ProfileRecorder.measure"])
def test_code_that_exits_fails_its_cell_and_not_the_process(
    worker: ModelWorker,
    cell: Cell,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    monkeypatch.setattr(f"vlmsel.execution.worker.{where}", _raise(SystemExit(0)))
    assert worker.run(cell).status == "failed"
    assert "asked to exit (SystemExit 0)" in str(only_failure(store, cell)["reason"])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("weights\nare cut off"), "weights are cut off"),
        (KeyError("no such key"), "{}: cannot be loaded: KeyError: 'no such key'"),
    ],
)
def test_a_model_that_does_not_load_fails_its_cells_without_trying_each_time(
    worker: ModelWorker,
    work: ModelWork,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    tries: list[object] = []

    def broken(spec: object, device: str) -> None:
        tries.append(spec)
        raise error

    monkeypatch.setattr(module, "load_model", broken)
    outcomes = [worker.run(one) for one in work.cells]
    assert {(o.status, o.reason) for o in outcomes} == {("failed", reason.format(work.spec.name))}
    assert len(tries) == 1
    assert ProfileStore(store).failed(work.cells[0].id.settings).height == len(work.cells)


def test_other_weights_than_planned_do_not_measure_under_the_planned_key(
    work: ModelWork,
    cell: Cell,
    zoo: Zoo,
    tasks: TaskCatalog,
    store: str,
    settings: AttributionSettings,
) -> None:
    job = make_plan(zoo, tasks, store, settings).job
    planned = work.identity.model_copy(update={"weights_sha256": "0" * 64})
    outcome = ModelWorker(work.spec, planned, job, WorkerOptions(store)).run(cell)
    assert outcome.status == "failed"
    assert "this node has other weights" in str(outcome.reason)
    assert not ProfileStore(store).has(cell.id)


def test_an_input_output_error_may_pass_and_is_recorded_by_the_last_try_only(
    worker: ModelWorker, cell: Cell, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(spec: object, device: str) -> None:
        raise ConnectionError("network is down")

    monkeypatch.setattr(module, "load_model", away)
    first = worker.run(cell)
    assert (first.status, first.transient) == ("failed", True)
    assert ProfileStore(store).failed(cell.id.settings).height == 0
    last = worker.run(cell, last_try=True)
    assert (last.status, last.transient) == ("failed", False)
    assert only_failure(store, cell)["reason"] == "ConnectionError: network is down"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("no memory"), "out-of-memory"),
        (MemoryLimitError("one image needs 2 GB"), "out-of-memory"),
        (RuntimeError("mat1 and mat2"), "error"),
    ],
)
def test_out_of_memory_is_failed_with_its_kind_and_never_zero(
    worker: ModelWorker,
    cell: Cell,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: str,
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("vlmsel.execution.profiling.attribute", explode)
    assert worker.run(cell).status == "failed"
    assert only_failure(store, cell)["kind"] == kind
    assert not ProfileStore(store).has(cell.id)


def test_a_failure_is_forgotten_when_the_cell_is_measured(
    worker: ModelWorker, cell: Cell, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module.ProfileRecorder, "measure", _raise(RuntimeError("once")))
        worker.run(cell)
    assert worker.run(cell).status == "measured"
    assert ProfileStore(store).failed(cell.id.settings).height == 0


def test_a_store_that_cannot_be_written_is_no_fault_of_the_cell(
    worker: ModelWorker, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProfileStore, "write", _raise(StoreError("disk full")))
    with pytest.raises(StoreError, match="disk full"):
        worker.run(cell)


def test_a_store_that_is_away_is_waited_for_until_the_last_try(
    worker: ModelWorker, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ProfileStore, "write", _raise(StoreUnavailableError("stale")))
        assert worker.run(cell).transient
        with pytest.raises(StoreUnavailableError, match="stale"):
            worker.run(cell, last_try=True)
    assert worker.run(cell).status == "measured"


def test_cells_do_not_depend_on_their_order_or_company(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    frames = []
    for name, order in (("one", 1), ("two", -1)):
        store = str(tmp_path / name)
        plan = make_plan(zoo, tasks, store, settings)
        work = plan.work[0]
        worker = ModelWorker(work.spec, work.identity, plan.job, WorkerOptions(store))
        for one in work.cells[::order]:
            worker.run(one)
        frames.append(ProfileStore(store).scan(settings.digest))
    assert frames[0].equals(frames[1])


def test_a_task_of_one_image_is_enough(
    zoo: Zoo, tmp_path: Path, store: str, settings: AttributionSettings
) -> None:
    single = TaskCatalog(tasks=(draw_task(tmp_path / "single", 9, n_images=1),))
    plan = make_plan(zoo, single, store, settings)
    work = plan.work[0]
    worker = ModelWorker(work.spec, work.identity, plan.job, WorkerOptions(store))
    assert worker.run(work.cells[0]).n_images == 1


def _raise(error: BaseException):
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising
