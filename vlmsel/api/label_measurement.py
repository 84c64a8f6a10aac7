"""Models that answer on the images in the background, the shortlist first."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from vlmsel.api.answer import ReadyTarget
from vlmsel.api.workspace import Workspace
from vlmsel.errors import VlmselError
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome, ModelUnits
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run import execute
from vlmsel.measurements.embedding import Embedding
from vlmsel.measurements.measurement import Want
from vlmsel.outside_names import shown
from vlmsel.redaction import describe_error

# The embedding is kept beside the answer, so that answers for a class that is added are derived
# from it and no image is looked at again.
KINDS = ("prediction", "embedding")
SHOWN_FAILURES = 5
STOP_S = 60.0

Phase = Literal["starting", "measuring", "done", "failed"]


class _StoppedError(Exception):
    """The work is not wanted any more."""


@dataclass(frozen=True)
class Progress:
    """Progress of the models.

    Attributes:
        phase: of the work.
        models: that are to answer.
        models_done: that have answered on all images, or failed.
        share: of the expected work, 0 to 1.
        model: that works now.
        left_s: seconds to go at the pace so far.
        failures: the first reasons of what failed.
        n_failures: how many cells failed.
        is_derived: whether answers come from stored embeddings: a class was added.
    """

    phase: Phase = "starting"
    models: int = 0
    models_done: int = 0
    share: float = 0.0
    model: str = ""
    left_s: float | None = None
    failures: tuple[str, ...] = ()
    n_failures: int = 0
    is_derived: bool = False


class BackgroundMeasurement:
    """Measure the chosen models on a target in a thread; a new target replaces the old one.

    Args:
        run: where models run.
        on_change: called from the thread when anything is known that was not.
    """

    def __init__(self, run: RunOptions | None, on_change: Callable[[], None]) -> None:
        self._run = run
        self._on_change = on_change
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self.progress = Progress()

    def start(self, ready: ReadyTarget, *, is_derived: bool = False) -> None:
        """Begin with a target; what was at work is stopped first, after the cell at hand."""
        before, self._stopped = self._stopped, threading.Event()
        before.set()
        self.progress = Progress(models=len(ready.chosen), is_derived=is_derived)
        args = (ready, self._stopped, self._thread)
        self._thread = threading.Thread(
            target=self._measure, args=args, name="vlmsel-measure", daemon=True
        )
        self._thread.start()

    def stop(self, wait_s: float = STOP_S) -> None:
        """Stop after the cells at hand."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _measure(
        self, ready: ReadyTarget, stopped: threading.Event, earlier: threading.Thread | None
    ) -> None:
        if earlier is not None:
            earlier.join()
        try:
            self._work(ready, stopped)
        except _StoppedError:
            return
        except VlmselError as error:
            self._fail(stopped, str(error))
        except Exception as error:  # noqa: BLE001 - the page goes on without the models
            self._fail(stopped, describe_error(error))

    def _work(self, ready: ReadyTarget, stopped: threading.Event) -> None:
        plan = plan_answers(ready, self._run)
        if stopped.is_set():
            return
        pace = _Pace(plan)
        self._tell(stopped, phase="measuring", models_done=pace.models_done, failures=_faults(plan))

        def settle(outcome: CellOutcome) -> None:
            pace.settle(outcome)
            changes = pace.changes()
            if outcome.status == "failed":
                changes["failures"] = (*self.progress.failures, _reason(outcome))[:SHOWN_FAILURES]
                changes["n_failures"] = self.progress.n_failures + 1
            self._tell(stopped, **changes)
            if stopped.is_set():
                raise _StoppedError

        execute(plan, ready.zoo.store, options=self._run, on_outcome=settle)
        self._tell(stopped, phase="done", models_done=len(ready.chosen), share=1.0, model="")

    def _fail(self, stopped: threading.Event, reason: str) -> None:
        failures = (" ".join(reason.split()), *self.progress.failures)[:SHOWN_FAILURES]
        self._tell(stopped, phase="failed", failures=failures, left_s=None, model="")

    def _tell(self, stopped: threading.Event, **changes: object) -> None:
        if not stopped.is_set():
            self.progress = replace(self.progress, **changes)  # pyright: ignore[reportArgumentType]
            self._on_change()


def make_workspace(ready: ReadyTarget) -> Workspace:
    """The chosen models on the images, with answers and embeddings wanted."""
    return ready.workspace({"embedding": Want(Embedding(), len(ready.target.order))})


def plan_answers(ready: ReadyTarget, run: RunOptions | None) -> Plan:
    """Plan answers and embeddings of the chosen models, the best by average rank first.

    Raises:
        ModelError, TaskError: nothing of it can be measured.
        StoreError: the store cannot be read.
    """
    plan = make_workspace(ready).plan(KINDS, run)
    turn = {ready.zoo.models[place]: number for number, place in enumerate(ready.chosen)}
    work = sorted(
        plan.work, key=lambda model_work: turn[model_work.spec.model, model_work.spec.pretrained]
    )
    return replace(plan, work=tuple(work))


class _Pace:
    """Counts what is settled of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._left = {work.name: sum(len(unit.cells) for unit in work.units) for work in plan.work}
        self._cost = {work.name: _cell_seconds(work) for work in plan.work}
        self._total = plan.seconds
        self._settled = 0.0
        self._since = time.monotonic()
        self._model = ""
        self.models_done = len(plan.tallies) - len(plan.work)

    def settle(self, outcome: CellOutcome) -> None:
        """Count one more cell."""
        name = f"{outcome.cell.model}/{outcome.cell.pretrained}"
        self._model = name
        self._left[name] -= 1
        self._settled += self._cost[name]
        self.models_done += self._left[name] == 0

    def changes(self) -> dict[str, object]:
        """Return what changed of the progress."""
        share = min(1.0, self._settled / self._total) if self._total else 0.0
        passed = time.monotonic() - self._since
        return {
            "models_done": self.models_done,
            "model": self._model,
            "share": share,
            "left_s": passed * (1 - share) / share if share else None,
        }


def _cell_seconds(work: ModelUnits) -> float:
    """Expected seconds of one cell of a model, in the mean."""
    return work.seconds / max(1, sum(len(unit.cells) for unit in work.units))


def _faults(plan: Plan) -> tuple[str, ...]:
    return tuple(str(fault) for fault in (*plan.faults, *plan.earlier))[:SHOWN_FAILURES]


def _reason(outcome: CellOutcome) -> str:
    return shown(f"{outcome.cell.model}/{outcome.cell.pretrained}: {outcome.reason}")
