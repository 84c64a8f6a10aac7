"""Rank a zoo for a folder of unlabelled images: profile what is missing, then rank."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from vlmsel.api.evaluating import Knowledge, current_knowledge, require_fed
from vlmsel.api.ranking import Selection, rank_profiles
from vlmsel.api.workspace import Workspace, open_workspace
from vlmsel.errors import SelectionError
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.run import execute
from vlmsel.selection.registry import make_selector
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
    target = target_workspace(workspace, images)
    plan = plan_target(target, options)
    execute(plan, workspace.store, options=options)
    return rank_target(target, knowledge, selector=selector).table.head(top)


def target_workspace(workspace: Workspace, images: str | Path) -> Workspace:
    """The zoo of a workspace on a folder of images, which is no task of its catalog.

    Raises:
        TaskError: no such folder, or no image in it.
    """
    found = folder_task(images)
    named = found.model_copy(update={"name": TARGET_PREFIX + found.name})
    target = TaskCatalog(tasks=(named,))
    return workspace.with_defaults().of_target(target, ["profile"])


def plan_target(target: Workspace, options: RunOptions | None) -> Plan:
    """The work of profiling a target with every model.

    Raises:
        TaskError: no image of it can be read.
    """
    plan = target.plan(["profile"], options)
    if plan.n_measured:
        return plan
    require_readable(dict.fromkeys(unit.shard for work in plan.work for unit in work.units))
    return plan


def rank_target(
    target: Workspace, knowledge: Knowledge, *, selector: str | None = None
) -> Selection:
    """Rank the zoo for a target whose profiles were just measured.

    Args:
        target: of `target_workspace`, measured.
        knowledge: of the sources.
        selector: by name; None takes the one that leave-one-out over the sources supports.

    Raises:
        SelectionError: no image of the target could be scored, or too little is known of the
            sources.
    """
    # Opened anew: its files were listed before they were measured.
    evidence = Evidence(target.store, target.catalogued, target.wants)
    if not evidence.files("profile"):
        raise SelectionError(f"no model could be profiled on the images: {_reason(evidence)}")
    task = target.tasks.tasks[0].name
    ranked = rank_profiles(
        task,
        evidence.profiles,
        knowledge,
        selector=selector,
        failed_images=evidence.failed_images,
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


def _reason(evidence: Evidence) -> str:
    """Why the first of the cells failed, in this run or an earlier one."""
    keys = [cell.key for cell in evidence.wanted("profile")]
    digest = next((cell.settings for cell in evidence.wanted("profile")), "")
    failed = evidence.store.failed("profile", digest).filter(pl.col("key").is_in(keys))
    if failed.is_empty():
        return "nothing was measured"
    return failed.sort("model", "pretrained")["reason"][0]
