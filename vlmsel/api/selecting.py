"""Rank a zoo for a folder of unlabelled images: profile what is missing, then rank."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from vlmsel.api.evaluating import Knowledge, current_knowledge, require_fed
from vlmsel.api.ranking import Selection, rank_profiles
from vlmsel.api.workspace import Workspace, open_workspace
from vlmsel.errors import SelectionError
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.run import execute
from vlmsel.selection.registry import make_selector
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.catalog import TARGET_PREFIX, TaskCatalog, folder_task
from vlmsel.tasks.readable import require_readable


def select(
    images: str | Path,
    *,
    store: str | Path,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    selector: str | None = None,
    top: int = 5,
    options: RunOptions | None = None,
) -> pl.DataFrame:
    """Rank a zoo for unlabelled images; what the store lacks of their profiles is measured first.

    Args:
        images: folder, tar or Parquet of images.
        store: folder or address of a store with profiles and accuracies of source tasks.
        zoo: model catalog (YAML) or a shipped name; by default that of the store's last run.
        tasks: task catalog of the sources; by default likewise.
        selector: by name; by default the one that leave-one-out over the sources supports.
        top: models to return.
        options: where to run; by default in this process.

    Returns:
        The first ``top`` models, best first, as `Selection.table` describes them. Images and models
        that failed are left out; `rank_target` also tells which.

    Raises:
        VlmselError: of the kind that says what is missing or wrong; see `vlmsel.errors`.
    """
    if top < 1:
        raise SelectionError(f"top must be at least 1, got {top}")
    if selector is not None:
        make_selector(selector)
    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    knowledge = current_knowledge(workspace)
    require_fed(selector, knowledge)
    plan = plan_target(workspace, images, options)
    execute(plan, workspace.store, options=options)
    return rank_target(workspace, plan, knowledge, selector=selector).table.head(top)


def plan_target(workspace: Workspace, images: str | Path, options: RunOptions | None) -> Plan:
    """The work of profiling a folder of images with every model of the workspace.

    Raises:
        TaskError: no such folder, no image in it, or none that can be read.
    """
    found = folder_task(images)
    named = found.model_copy(update={"name": TARGET_PREFIX + found.name})
    target = TaskCatalog(tasks=(named,))
    plan = workspace.plan_profiles(options, tasks=target)
    if plan.n_measured:
        return plan
    require_readable(dict.fromkeys(cell.shard for work in plan.work for cell in work.cells))
    return plan


def rank_target(
    workspace: Workspace, plan: Plan, knowledge: Knowledge, *, selector: str | None = None
) -> Selection:
    """Rank the zoo for a target whose profiles were just measured by ``plan``.

    Args:
        workspace: the store and what is current in it.
        plan: from `plan_target`, done.
        knowledge: of the sources.
        selector: by name; None takes the one that leave-one-out over the sources supports.

    Raises:
        SelectionError: no image of the target could be scored, or too little is known of the
            sources.
    """
    store, digest = ProfileStore(workspace.store), workspace.settings.digest
    cells = plan.wanted & store.measured(digest)
    if not cells:
        raise SelectionError(f"no model could be profiled on the images: {_reason(plan, store)}")
    task = next(iter(cells)).task
    ranked = rank_profiles(
        task,
        store.scan(digest, cells=cells),
        knowledge,
        selector=selector,
        failed_images=store.failed_images(digest, cells=cells),
    )
    return _renamed(ranked, task, task.removeprefix(TARGET_PREFIX))


def _renamed(selection: Selection, task: str, name: str) -> Selection:
    """The selection with the target under the name that people know it by, everywhere."""
    names = {task: name, name: f"{name} (source)"}

    def rename(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col("task").replace(names))

    return replace(
        selection,
        target=name,
        profiles=rename(selection.profiles),
        failed_images=rename(selection.failed_images),
    )


def _reason(plan: Plan, store: ProfileStore) -> str:
    """Why the first of the cells failed, in this run or an earlier one."""
    keys = [cell.key for cell in plan.wanted]
    failed = store.failed(plan.job.digest).filter(pl.col("key").is_in(keys))
    if failed.is_empty():
        return "nothing was measured"
    return failed.sort("model", "pretrained")["reason"][0]
