"""The nightly run: see what changed, measure only that, leave alone what left the catalogs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from vlmsel.execution.lease import hold_lease
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run import execute
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements.measurement import Want
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TARGET_PREFIX, TaskCatalog
from vlmsel.zoo.catalog import Zoo

LEASE_NAME = "refresh"

KindModelTask = tuple[str, str, str, str]


@dataclass(frozen=True)
class Refreshed:
    """Changes that a refresh found, and the work that it did.

    Attributes:
        changes: see `describe_changes`.
        summary: what was measured.
    """

    changes: pl.DataFrame
    summary: RunSummary

    def exit_code(self, allow_failures: int = 0) -> int:
        """0 if all was done but for `allow_failures` cells or images, else 1."""
        return self.summary.exit_code(allow_failures)


def refresh(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: Store,
    wants: Sequence[Want],
    *,
    options: RunOptions | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_outcome: Callable[[CellOutcome], None] | None = None,
) -> Refreshed:
    """Measure what is new or changed, every wanted kind in one pass.

    Tasks without class names are passed over by the kinds that read them.

    Args:
        zoo: the models.
        tasks: the tasks.
        store: what is there, and where results go.
        wants: measurements, each with its number of images.
        options: how it is done.
        on_plan: called with the plan before it is done.
        on_outcome: called with every settled cell.

    Raises:
        ExecutionError: another refresh of this store is at work, or the work cannot be placed.
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
        StoreError: the store cannot be read or written.
    """
    with hold_lease(store.uri, LEASE_NAME):
        plan = plan_measurements(zoo, tasks, store, wants, options=options, name_unprompted=False)
        if on_plan is not None:
            on_plan(plan)
        measured = [
            cell for want in wants for cell in store.cells(want.kind, want.measurement.digest)
        ]
        changes = describe_changes(plan, measured)
        summary = execute(plan, store, options=options, on_outcome=on_outcome)
    return Refreshed(changes, summary)


def describe_changes(plan: Plan, measured: Iterable[CellId]) -> pl.DataFrame:
    """List the differences between the catalogs and the store, by kind, model and task.

    Args:
        plan: of the current catalogs.
        measured: every cell of the plan's settings in the store; targets that were ranked once
            (`TARGET_PREFIX`) belong to no catalog and are passed over.

    Returns:
        kind, model, pretrained, task, change; sorted. A change is one of: new model; new task;
        missing (no run came to all of it); new weights (every task of the model differs); new
        images (every model differs on the task); changed (either of them); left (kept in the
        store, but in no catalog); unchanged.
    """
    kept = (cell for cell in measured if not cell.task.startswith(TARGET_PREFIX))
    current, before = _keys_by_pair(plan.wanted), _keys_by_pair(kept)
    models = {pair[:3] for pair in before}
    tasks = {(pair[0], pair[3]) for pair in before}
    common = current.keys() & before.keys()
    begun = {pair for pair in common if current[pair] > before[pair]}
    changed = {pair for pair in common - begun if not current[pair] <= before[pair]}
    same = common - begun - changed
    same_models = {pair[:3] for pair in same}
    same_tasks = {(pair[0], pair[3]) for pair in same}
    rows: list[tuple[str, str, str, str, str]] = []
    for pair in current.keys() | before.keys():
        model, task = pair[:3], (pair[0], pair[3])
        if pair not in current:
            change = "left"
        elif pair in same:
            change = "unchanged"
        elif pair in begun:
            change = "missing"
        elif pair in changed:
            change = _cause(model in same_models, task in same_tasks)
        else:
            change = _novelty(model in models, task in tasks)
        rows.append((*pair, change))
    columns = ["kind", "model", "pretrained", "task", "change"]
    schema = dict.fromkeys(columns, pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row").sort(columns)


def _keys_by_pair(cells: Iterable[CellId]) -> dict[KindModelTask, set[str]]:
    keys: dict[KindModelTask, set[str]] = defaultdict(set)
    for cell in cells:
        keys[cell.kind, cell.model, cell.pretrained, cell.task].add(cell.key)
    return dict(keys)


def _cause(model_has_unchanged_tasks: bool, task_has_unchanged_models: bool) -> str:
    """A key does not say which part of it changed; what stayed the same does."""
    if model_has_unchanged_tasks and not task_has_unchanged_models:
        return "new images"
    if task_has_unchanged_models and not model_has_unchanged_tasks:
        return "new weights"
    return "changed"


def _novelty(model_is_known: bool, task_is_known: bool) -> str:
    if not model_is_known:
        return "new model"
    return "missing" if task_is_known else "new task"
