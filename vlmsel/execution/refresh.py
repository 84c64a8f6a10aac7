"""The nightly run: see what changed, measure only that, leave alone what left the catalogs."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from vlmsel.execution.cells import CellOutcome
from vlmsel.execution.known import measured_cells
from vlmsel.execution.lease import hold_lease
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.prepare import DEFAULT_IMAGES, plan_accuracies, plan_profiles
from vlmsel.execution.run import execute
from vlmsel.execution.summary import RunSummary
from vlmsel.settings import AttributionSettings
from vlmsel.store.keys import CellId
from vlmsel.tasks.catalog import TARGET_PREFIX, TaskCatalog
from vlmsel.tasks.prompts import has_classnames
from vlmsel.zoo.catalog import Zoo

LEASE_NAME = "refresh"

ModelTask = tuple[str, str, str]


@dataclass(frozen=True)
class Refreshed:
    """What a refresh found and did.

    Attributes:
        changes: of the profiles, see `describe_changes`.
        profiles: what was measured.
        accuracies: likewise; of the tasks with class names.
    """

    changes: pl.DataFrame
    profiles: RunSummary
    accuracies: RunSummary

    def exit_code(self, allow_failures: int = 0) -> int:
        """0 if all was done but for `allow_failures` cells or images of both kinds, else 1."""
        return (self.profiles + self.accuracies).exit_code(allow_failures)


def refresh(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: str,
    settings: AttributionSettings,
    *,
    n_images: int | None = DEFAULT_IMAGES,
    options: RunOptions | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_outcome: Callable[[CellOutcome], None] | None = None,
) -> Refreshed:
    """Measure what is new or changed: profiles, and accuracies of the tasks with class names.

    `on_plan` is called with each of the two plans before it is done.

    Raises:
        ExecutionError: another refresh of this store is at work, or the work cannot be placed.
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
        StoreError: the store cannot be read or written.
    """
    with hold_lease(store, LEASE_NAME):
        plan = plan_profiles(zoo, tasks, store, settings, n_images=n_images, options=options)
        _announce(plan, on_plan)
        changes = describe_changes(plan, measured_cells(store, plan.job))
        profiles = execute(plan, store, options=options, on_outcome=on_outcome)
        labelled = labelled_tasks(tasks)
        accuracies = RunSummary()
        if labelled is not None:
            todo = plan_accuracies(zoo, labelled, store, options=options)
            _announce(todo, on_plan)
            accuracies = execute(todo, store, options=options, on_outcome=on_outcome)
    return Refreshed(changes, profiles, accuracies)


def labelled_tasks(tasks: TaskCatalog) -> TaskCatalog | None:
    """The tasks with class names; None if there is none."""
    labelled = tuple(spec for spec in tasks.tasks if has_classnames(spec))
    return TaskCatalog(tasks=labelled) if labelled else None


def _announce(plan: Plan, on_plan: Callable[[Plan], None] | None) -> None:
    if on_plan is not None:
        on_plan(plan)


def describe_changes(plan: Plan, measured: Iterable[CellId]) -> pl.DataFrame:
    """What differs between the catalogs and the store, by model and task.

    Args:
        plan: of the current catalogs.
        measured: every cell of these settings in the store; targets that were ranked once
            (`TARGET_PREFIX`) belong to no catalog and are passed over.

    Returns:
        model, pretrained, task, change; sorted. A change is one of: new model; new task; missing
        (no run came to it); new weights (every task of the model differs); new images (every model
        differs on the task); changed (either of them); left (kept in the store, but in no catalog);
        unchanged.
    """
    kept = (cell for cell in measured if not cell.task.startswith(TARGET_PREFIX))
    now, before = _keys_by_pair(plan.wanted), _keys_by_pair(kept)
    models = {pair[:2] for pair in before}
    tasks = {pair[2] for pair in before}
    changed = {pair for pair in now.keys() & before.keys() if not now[pair] <= before[pair]}
    same = (now.keys() & before.keys()) - changed
    same_models, same_tasks = {pair[:2] for pair in same}, {pair[2] for pair in same}
    rows: list[tuple[str, str, str, str]] = []
    for pair in now.keys() | before.keys():
        if pair not in now:
            change = "left"
        elif pair in same:
            change = "unchanged"
        elif pair in changed:
            change = _cause(pair[:2] in same_models, pair[2] in same_tasks)
        else:
            change = _novelty(pair[:2] in models, pair[2] in tasks)
        rows.append((*pair, change))
    columns = ["model", "pretrained", "task", "change"]
    schema = dict.fromkeys(columns, pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row").sort(columns)


def _keys_by_pair(cells: Iterable[CellId]) -> dict[ModelTask, set[str]]:
    keys: dict[ModelTask, set[str]] = defaultdict(set)
    for cell in cells:
        keys[cell.model, cell.pretrained, cell.task].add(cell.key)
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
