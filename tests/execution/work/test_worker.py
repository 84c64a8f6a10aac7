from dataclasses import replace
from pathlib import Path

import pytest

from tests.execution.conftest import draw_task
from vlmsel.errors import MemoryLimitError, ModelError, StoreError, StoreUnavailableError
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions, WorkerOptions
from vlmsel.execution.plan.units import Cell, CellOutcome, ModelUnits, Unit
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.work import worker as module
from vlmsel.execution.work.worker import ModelWorker, record_failure
from vlmsel.measurements import Embedding, Measurement, Prediction, Profile, Want
from vlmsel.store.store import Store
from vlmsel.tasks.outages import is_unavailable
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo


def make_plan(zoo: Zoo, tasks: TaskCatalog, store: Store, *measurements: Measurement) -> Plan:
    wants = [Want(one) for one in measurements]
    return plan_measurements(zoo, tasks, store, wants, options=RunOptions(verify=False))


def make_worker(plan: Plan, store: Store) -> ModelWorker:
    work = plan.work[0]
    return ModelWorker(work.spec, work.identity, plan.job, WorkerOptions(store.uri))


@pytest.fixture
def plan(zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile) -> Plan:
    return make_plan(zoo, tasks, store, profile)


@pytest.fixture
def work(plan: Plan) -> ModelUnits:
    return plan.work[0]


@pytest.fixture
def unit(work: ModelUnits) -> Unit:
    """One shard with its profile."""
    return work.units[0]


@pytest.fixture
def cell(unit: Unit) -> Cell:
    return unit.cells[0]


@pytest.fixture
def worker(plan: Plan, store: Store) -> ModelWorker:
    return make_worker(plan, store)


def run(worker: ModelWorker, unit: Unit, *, last_try: bool = False) -> CellOutcome:
    """The outcome of a unit of one cell."""
    [outcome] = worker.run(unit, last_try=last_try).outcomes
    return outcome


def retried(unit: Unit) -> Unit:
    return Unit(unit.shard, tuple(replace(cell, again=True) for cell in unit.cells))


def failed(store: Store, cell: Cell) -> list[dict[str, object]]:
    return store.failed(cell.id.kind, cell.id.settings).rows(named=True)


def only_failure(store: Store, cell: Cell) -> dict[str, object]:
    [row] = failed(store, cell)
    assert row["key"] == cell.id.key
    return row


def test_a_cell_is_measured_written_and_then_skipped(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store
) -> None:
    first = run(worker, unit)
    assert (first.status, first.n_images, first.failed_images) == ("measured", 6, ())
    assert first.seconds > 0
    written = store.scan(store.cells("profile", cell.id.settings, [cell.id])).measured
    assert set(written["image_id"]) == {ref.image_id for ref in unit.shard.images}
    assert written["conductance"].min() > 0  # type: ignore[operator]
    again = run(worker, unit)
    assert (again.status, again.seconds, again.n_decoded) == ("skipped", 0.0, 0)


def test_the_model_is_loaded_once_for_many_cells_and_only_when_needed(
    worker: ModelWorker, work: ModelUnits, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    real = module.load_model
    monkeypatch.setattr(
        module,
        "load_model",
        lambda spec, device: (loads.append(device), real(spec, device=device))[1],
    )
    for one in work.units:
        worker.run(one)
    assert loads == ["cpu"]


def test_a_corrupt_image_is_named_and_the_others_are_measured(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store
) -> None:
    victim = unit.shard.images[2]
    Path(victim.source.removeprefix("file://")).write_bytes(b"no image at all")
    outcome = run(worker, unit)
    assert (outcome.status, outcome.n_images) == ("measured", 5)
    [(image_id, reason)] = outcome.failed_images
    assert image_id == victim.image_id
    assert "changed since it was indexed" in reason
    assert store.failed_in(cell.id) == outcome.failed_images


def test_a_retry_that_does_no_better_leaves_what_is_stored_and_says_so(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store
) -> None:
    first, second = (Path(ref.source.removeprefix("file://")) for ref in unit.shard.images[2:4])
    first.write_bytes(b"no image at all")
    stored = run(worker, unit).failed_images
    again = retried(unit)
    second.unlink()
    worse = run(worker, again, last_try=True)
    assert (worse.status, worse.failed_images) == ("measured", stored)
    for ref in unit.shard.images:
        Path(ref.source.removeprefix("file://")).unlink(missing_ok=True)
    none = run(worker, again, last_try=True)
    assert (none.status, none.failed_images) == ("skipped", stored)
    assert failed(store, cell) == []
    assert store.failed_in(cell.id) == stored


def test_whatever_a_transform_raises_fails_its_cell_alone(
    work: ModelUnits, worker: ModelWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = worker._model()

    def transform(image: object) -> None:
        raise IndexError("beyond")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_loaded", replace(model, transform=transform))
        reason = run(worker, work.units[0]).reason
        assert reason is not None
        assert reason.startswith("none of 6 image(s) could be measured; the first, circle/0.png: ")
        assert reason.endswith("preprocessing failed on 32x32 pixels: IndexError: beyond")
    assert run(worker, work.units[1]).status == "measured"


def test_a_cell_that_was_mended_meanwhile_is_not_measured_again(
    worker: ModelWorker, unit: Unit
) -> None:
    assert run(worker, unit).status == "measured"
    assert run(worker, retried(unit)).status == "skipped"


def test_a_cell_without_one_readable_image_is_failed_and_not_empty(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store
) -> None:
    for ref in unit.shard.images:
        Path(ref.source.removeprefix("file://")).unlink()
    outcome = run(worker, unit)
    assert (outcome.status, outcome.transient) == ("failed", True)
    assert failed(store, cell) == []
    outcome = run(worker, unit, last_try=True)
    assert (outcome.status, outcome.transient) == ("failed", False)
    assert outcome.reason is not None
    assert outcome.reason.startswith("none of 6 image(s) could be measured")
    assert not store.has(cell.id)
    assert only_failure(store, cell)["kind"] == "transient"


def test_a_cell_without_one_whole_image_is_failed_for_good(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store
) -> None:
    for ref in unit.shard.images:
        Path(ref.source.removeprefix("file://")).write_bytes(b"no image at all")
    assert run(worker, unit).status == "failed"
    assert only_failure(store, cell)["kind"] == "images"


def test_an_image_that_is_away_is_waited_for_and_left_out_by_the_last_try_only(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store
) -> None:
    victim = unit.shard.images[1]
    path = Path(victim.source.removeprefix("file://"))
    data = path.read_bytes()
    path.unlink()
    away = run(worker, unit)
    assert (away.status, away.transient) == ("failed", True)
    assert not store.has(cell.id)
    partly = run(worker, unit, last_try=True)
    assert (partly.status, partly.n_images) == ("measured", 5)
    [(image_id, reason)] = partly.failed_images
    assert image_id == victim.image_id
    assert is_unavailable(reason)
    path.write_bytes(data)
    whole = run(worker, retried(unit))
    assert (whole.status, whole.n_images, whole.failed_images) == ("measured", 6, ())


def test_weights_that_are_away_may_come_back(
    worker: ModelWorker, unit: Unit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = worker._spec
    with monkeypatch.context() as patch:
        patch.setattr(worker, "_spec", spec.model_copy(update={"weights": str(tmp_path / "away")}))
        outcome = run(worker, unit)
    assert (outcome.status, outcome.transient) == ("failed", True)
    assert run(worker, unit).status == "measured"


@pytest.mark.parametrize(
    "where", ["execution.work.worker.load_model", "probes.profile_probe.attribute"]
)
def test_code_that_exits_fails_its_cell_and_not_the_process(
    worker: ModelWorker,
    unit: Unit,
    cell: Cell,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    monkeypatch.setattr(f"vlmsel.{where}", _raise(SystemExit(0)))
    assert run(worker, unit).status == "failed"
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
    work: ModelUnits,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    tries: list[object] = []

    def broken(spec: object, device: str) -> None:
        tries.append(spec)
        raise error

    monkeypatch.setattr(module, "load_model", broken)
    outcomes = [run(worker, one) for one in work.units]
    assert {(o.status, o.reason) for o in outcomes} == {("failed", reason.format(work.spec.name))}
    assert len(tries) == 1
    assert len(failed(store, work.units[0].cells[0])) == len(work.units)


def test_other_weights_than_planned_do_not_measure_under_the_planned_key(
    plan: Plan, work: ModelUnits, unit: Unit, cell: Cell, store: Store
) -> None:
    planned = work.identity.model_copy(update={"weights_sha256": "0" * 64})
    worker = ModelWorker(work.spec, planned, plan.job, WorkerOptions(store.uri))
    outcome = run(worker, unit)
    assert outcome.status == "failed"
    assert "this node has other weights" in str(outcome.reason)
    assert not store.has(cell.id)


def test_an_input_output_error_may_pass_and_is_recorded_by_the_last_try_only(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(spec: object, device: str) -> None:
        raise ConnectionError("network is down")

    monkeypatch.setattr(module, "load_model", away)
    first = run(worker, unit)
    assert (first.status, first.transient) == ("failed", True)
    assert failed(store, cell) == []
    last = run(worker, unit, last_try=True)
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
    unit: Unit,
    cell: Cell,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: str,
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("vlmsel.probes.profile_probe.attribute", explode)
    assert run(worker, unit).status == "failed"
    assert only_failure(store, cell)["kind"] == kind
    assert not store.has(cell.id)


def test_a_failure_is_forgotten_when_the_cell_is_measured(
    worker: ModelWorker, unit: Unit, cell: Cell, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("vlmsel.probes.profile_probe.attribute", _raise(RuntimeError("once")))
        run(worker, unit)
    assert run(worker, unit).status == "measured"
    assert failed(store, cell) == []


def test_a_store_that_cannot_be_written_is_no_fault_of_the_cell(
    worker: ModelWorker, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "write", _raise(StoreError("disk full")))
    with pytest.raises(StoreError, match="disk full"):
        run(worker, unit)


def test_a_store_that_is_away_is_waited_for_until_the_last_try(
    worker: ModelWorker, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", _raise(StoreUnavailableError("stale")))
        assert run(worker, unit).transient
        with pytest.raises(StoreUnavailableError, match="stale"):
            run(worker, unit, last_try=True)
    assert run(worker, unit).status == "measured"


def test_cells_do_not_depend_on_their_order_or_company(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, profile: Profile
) -> None:
    kinds = (profile, Prediction(), Embedding())
    scans = []
    for name, order, company in (("one", 1, kinds), ("two", -1, kinds), ("alone", 1, None)):
        store = Store(tmp_path / name)
        for part in [company] if company else [(one,) for one in kinds]:
            plan = make_plan(zoo, tasks, store, *part)
            worker = make_worker(plan, store)
            for one in plan.work[0].units[::order]:
                worker.run(one)
        scans.append([store.scan(store.cells(one.kind, one.digest)).rows for one in kinds])
    for other in scans[1:]:
        for mine, theirs in zip(scans[0], other, strict=True):
            assert mine.height > 0
            assert mine.equals(theirs)


def test_a_task_of_one_image_is_enough(
    zoo: Zoo, tmp_path: Path, store: Store, profile: Profile
) -> None:
    single = TaskCatalog(tasks=(draw_task(tmp_path / "single", 9, n_images=1),))
    plan = make_plan(zoo, single, store, profile, Prediction(), Embedding())
    [unit] = plan.work[0].units
    outcomes = make_worker(plan, store).run(unit).outcomes
    assert [outcome.n_images for outcome in outcomes] == [1, 1, 1]


def test_a_unit_whose_store_has_some_cells_measures_the_others(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    plan = make_plan(zoo, tasks, store, profile, Prediction(), Embedding())
    unit, worker = plan.work[0].units[0], make_worker(plan, store)
    first = unit.cells[1]
    worker.run(unit.only([first.id]))
    outcomes = worker.run(unit).outcomes
    assert [outcome.cell for outcome in outcomes] == [cell.id for cell in unit.cells]
    assert [outcome.status for outcome in outcomes] == ["measured", "skipped", "measured"]
    assert [outcome.n_decoded for outcome in outcomes] == [6, 0, 0]


def test_a_model_that_cannot_do_what_a_kind_needs_fails_that_cell_and_says_what(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    plan = make_plan(zoo, tasks, store, Prediction(), Embedding())
    unit, worker = plan.work[0].units[0], make_worker(plan, store)
    worker._loaded = replace(worker._model(), encode_text=None)
    prediction, embedding = worker.run(unit).outcomes
    assert (prediction.status, embedding.status) == ("failed", "measured")
    assert prediction.reason == (
        f"{plan.work[0].name} has no text embedding, which a prediction needs"
    )


def test_a_failure_that_no_worker_noted_is_noted_for_every_cell(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    plan = make_plan(zoo, tasks, store, profile, Prediction())
    unit = plan.work[0].units[0]
    record_failure(store.uri, plan.job, unit, "node lost", "lost")
    for cell in unit.cells:
        row = only_failure(store, cell)
        assert (row["reason"], row["kind"]) == ("node lost", "lost")


def _raise(error: BaseException):
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising
