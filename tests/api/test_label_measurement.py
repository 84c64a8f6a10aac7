"""Models that answer in the background: their order, their progress and their failures."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.api.made_store import CLASSES, MODELS, N_IMAGES, MadeStore, fill_store
from vlmsel.api import label_measurement
from vlmsel.api.answer import AnswerOptions, ReadyTarget, prepare_target
from vlmsel.api.label_measurement import (
    BackgroundMeasurement,
    Progress,
    make_workspace,
    plan_answers,
)
from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan

WAIT_S = 60.0


@pytest.fixture
def ready(own_made: MadeStore) -> ReadyTarget:
    # Of other classes than those that the models have answered for.
    options = AnswerOptions(classnames=(*CLASSES, "moon"), ignore_labels=True)
    return prepare_target(own_made.images, own_made.known(), options)


def finish(measurement: BackgroundMeasurement) -> Progress:
    """Wait for the end of the work."""
    end = time.monotonic() + WAIT_S
    while measurement.progress.phase not in ("done", "failed"):
        assert time.monotonic() < end
        time.sleep(0.005)
    measurement.stop()
    return measurement.progress


def fake_run(
    monkeypatch: pytest.MonkeyPatch, status: Callable[[str, str], str]
) -> list[tuple[str, str]]:
    """Settle every cell at once, in the order of the plan; status by model and kind."""
    settled: list[tuple[str, str]] = []

    def execute(plan: Plan, _store: object, *, options: object, on_outcome: Callable) -> None:
        for work in plan.work:
            for cell in (cell for unit in work.units for cell in unit.cells):
                found = status(cell.id.model, cell.id.kind)
                reason = "no memory" if found == "failed" else None
                settled.append((cell.id.model, cell.id.kind))
                on_outcome(CellOutcome(cell.id, found, reason=reason))

    monkeypatch.setattr(label_measurement, "execute", execute)
    return settled


def test_answers_and_embeddings_are_planned_best_models_first(ready: ReadyTarget) -> None:
    assert make_workspace(ready).wants["embedding"].n_images == N_IMAGES
    backwards = replace(ready, chosen=ready.chosen[::-1])
    for target, order in ((ready, MODELS), (backwards, MODELS[::-1])):
        plan = plan_answers(target, None)
        assert [work.spec.model for work in plan.work] == list(order)
        assert plan.n_missing == 2 * len(MODELS)


def test_what_is_stored_is_done_at_once(ready: ReadyTarget) -> None:
    fill_store(make_workspace(ready))
    changes: list[None] = []
    measurement = BackgroundMeasurement(None, lambda: changes.append(None))
    measurement.start(ready, is_derived=True)
    progress = finish(measurement)
    assert progress == Progress("done", 5, 5, 1.0, is_derived=True)
    assert len(changes) == 2, "once for the plan, once for the end"


def test_progress_counts_models_whose_cells_are_all_settled(
    ready: ReadyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = fake_run(monkeypatch, lambda *_: "measured")
    seen: list[Progress] = []
    measurement = BackgroundMeasurement(None, lambda: seen.append(measurement.progress))
    measurement.start(ready)
    assert finish(measurement).models_done == 5
    working = seen[1:-1]
    assert [(step.model, step.models_done) for step in working[:4]] == [
        ("m0/made", 0),
        ("m0/made", 1),
        ("m1/made", 1),
        ("m1/made", 2),
    ]
    shares = [step.share for step in working]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert len(settled) == 10


def test_failures_are_counted_and_the_first_ones_told(
    ready: ReadyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_run(monkeypatch, lambda model, _: "failed" if model != "m0" else "measured")
    measurement = BackgroundMeasurement(None, lambda: None)
    measurement.start(ready)
    progress = finish(measurement)
    assert (progress.phase, progress.n_failures) == ("done", 8)
    assert progress.failures[:2] == ("m1/made: no memory", "m1/made: no memory")
    assert len(progress.failures) == 5


@pytest.mark.parametrize(
    ("error", "words"),
    [(ExecutionError("no\nroom"), "no room"), (ValueError("odd"), "ValueError: odd")],
)
def test_work_that_ends_in_an_error_tells_it(
    ready: ReadyTarget, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def execute(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(label_measurement, "execute", execute)
    measurement = BackgroundMeasurement(None, lambda: None)
    measurement.start(ready)
    progress = finish(measurement)
    assert (progress.phase, progress.failures[0]) == ("failed", words)


def test_a_new_target_takes_the_place_of_the_one_at_work(
    ready: ReadyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    measurement = BackgroundMeasurement(None, lambda: None)

    def replace_target(model: str, kind: str) -> str:
        seen.append(f"{model} {kind}")
        if len(seen) == 1:
            measurement.start(replace(ready, chosen=ready.chosen[:2]))
        return "measured"

    fake_run(monkeypatch, replace_target)
    measurement.start(ready)
    assert finish(measurement) == Progress("done", 2, 2, 1.0, left_s=measurement.progress.left_s)
    # One cell of the first target, then both cells of two models.
    assert len(seen) == 1 + 4
