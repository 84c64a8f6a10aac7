"""Rank a zoo for a folder of unlabelled images: choose a selector, measure what it needs, rank."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from vlmsel.api.choice import Choice, choose_selector
from vlmsel.api.laboratory import current_knowledge
from vlmsel.api.ranking import rank_zoo
from vlmsel.api.selection import FAILED_COLUMNS, Selection, TargetImages
from vlmsel.api.workspace import Workspace, open_workspace
from vlmsel.errors import SelectionError
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run import execute
from vlmsel.execution.run_summary import RunSummary
from vlmsel.selection.registry import make_selector
from vlmsel.store.store import Store
from vlmsel.tasks.pictures import Pictures, look_at_pictures
from vlmsel.tasks.shards import FIRST_STRATUM, plan_shards
from vlmsel.tasks.task_catalog import TARGET_PREFIX, TaskCatalog, folder_task

# What the check of novelty compares, and what --profile-anyway measures.
NOVELTY_KIND = "profile"


def _ignore(_: object) -> None:
    """Hear of a step and do nothing."""


@dataclass(frozen=True)
class Steps:
    """Functions that are called while a selection is made, in this order.

    Attributes:
        on_pictures: with what decoding told of the images, before anything is measured.
        on_choice: with the selector.
        on_plan: with the plan, before it is done; not called where nothing is asked of the images.
        on_outcome: with every settled cell.
    """

    on_pictures: Callable[[Pictures], None] = _ignore
    on_choice: Callable[[Choice], None] = _ignore
    on_plan: Callable[[Plan], None] = _ignore
    on_outcome: Callable[[CellOutcome], None] = _ignore


def select_by_images(
    images: str | Path,
    *,
    store: str | Path | Store | Workspace,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    selector: str | None = None,
    profile_anyway: bool = False,
    options: RunOptions | None = None,
    steps: Steps | None = None,
) -> Selection:
    """Rank a zoo for unlabelled images; what the store lacks for it is measured first.

    The selector is chosen before anything is measured. Where it asks nothing of the images, no
    model is loaded, and the answer says that the images were not looked at.

    Args:
        images: folder, tar or Parquet of images.
        store: folder or address of a store with accuracies of source tasks and, for selectors that
            look at images, profiles; or a workspace, which has a zoo and tasks already.
        zoo: model catalog (YAML) or a shipped name; by default that of the store's last run.
        tasks: task catalog of the sources; by default likewise.
        selector: by name; by default the one that leave-one-out over the sources supports.
        profile_anyway: profile the images even where the selector does not ask for it, to learn
            whether any source is like them.
        options: where to run; by default in this process.
        steps: functions to call on the way.

    Returns:
        The ranking with everything that must be known to trust it.

    Raises:
        VlmselError: of the kind that says what is missing or wrong; see `vlmsel.errors`.
    """
    if selector is not None:
        make_selector(selector)  # A misspelt name is found before anything is read.
    steps = steps or Steps()
    is_open = isinstance(store, Workspace)
    workspace = store if is_open else open_workspace(store, zoo=zoo, tasks=tasks)
    target = target_workspace(workspace, images)
    pictures = target_pictures(target)
    steps.on_pictures(pictures)
    knowledge = current_knowledge(workspace)
    choice = choose_selector(knowledge, selector)
    steps.on_choice(choice)
    kinds = choice.needs.on_target | ({NOVELTY_KIND} if profile_anyway else frozenset())
    summary = _measure(target, kinds, options, steps)
    found = read_target(target, kinds, pictures)
    name = target.tasks.tasks[0].name
    answer = rank_zoo(name, found, knowledge, choice=choice)
    answer = _rename_target(answer, name, name.removeprefix(TARGET_PREFIX))
    return replace(answer, summary=summary, settings=workspace.settings)


def target_workspace(workspace: Workspace, images: str | Path) -> Workspace:
    """The zoo of a workspace on a folder of images, which is no task of its catalog.

    Raises:
        TaskError: no such folder, or no image in it.
    """
    found = folder_task(images)
    named = found.model_copy(update={"name": TARGET_PREFIX + found.name})
    target = TaskCatalog(tasks=(named,))
    ready = workspace.with_defaults()
    return ready.of_target(target, ready.wants)


def target_pictures(target: Workspace) -> Pictures:
    """Decode a target's images, as many as a profile is made of, and note their faults.

    Raises:
        TaskError: no image of it can be read.
    """
    (index,) = target.catalogued.indexes.values()
    n_images = target.wants[NOVELTY_KIND].n_images or FIRST_STRATUM
    return look_at_pictures(plan_shards(index, n_images=n_images), len(index.images))


def read_target(target: Workspace, kinds: frozenset[str], pictures: Pictures) -> TargetImages:
    """Read a target's measured values from the store.

    Profiles that were measured for an earlier answer are read even where none are asked for: they
    cost nothing, and tell whether any source is like the images.

    Args:
        target: of `target_workspace`, measured.
        kinds: that were asked for.
        pictures: of the target.

    Raises:
        SelectionError: no model could be profiled.
    """
    # Opened anew: its files were listed before they were measured.
    evidence = Evidence(target.store, target.catalogued, target.wants)
    n_files = len(evidence.files(NOVELTY_KIND))
    if NOVELTY_KIND in kinds and not n_files:
        raise SelectionError(
            f"no model could be profiled on the images: {_reason(evidence, NOVELTY_KIND)}"
        )
    if NOVELTY_KIND in kinds or n_files == len(evidence.wanted(NOVELTY_KIND)):
        return TargetImages(evidence.profiles, evidence.failed_images, pictures)
    task = target.tasks.tasks[0].name
    rows = [("", "", task, image_id, reason) for image_id, reason in pictures.unreadable]
    failed = pl.DataFrame(rows, schema=FAILED_COLUMNS, orient="row")
    return TargetImages(failed_images=failed, pictures=pictures)


def _measure(
    target: Workspace, kinds: frozenset[str], options: RunOptions | None, steps: Steps
) -> RunSummary:
    if not kinds:
        # A model that cannot be used is missing in the ranking, measured or not.
        found = target.catalogued
        return RunSummary(faults=found.faults, passed_over=found.passed_over)
    plan = target.plan(sorted(kinds), options)
    steps.on_plan(plan)
    return execute(plan, target.store, options=options, on_outcome=steps.on_outcome)


def _rename_target(answer: Selection, task: str, name: str) -> Selection:
    """The answer with the target under the name that people know it by, everywhere."""
    names = {task: name, name: f"{name} (source)"}

    def rename(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col("task").replace(names))

    images = replace(
        answer.images,
        profiles=rename(answer.images.profiles),
        failed_images=rename(answer.images.failed_images),
    )
    return replace(answer, target=name, images=images, profiles=rename(answer.profiles))


def _reason(evidence: Evidence, kind: str) -> str:
    """Find the reason why the first failed cell failed, in this run or an earlier one."""
    keys = [cell.key for cell in evidence.wanted(kind)]
    digest = next((cell.settings for cell in evidence.wanted(kind)), "")
    failed = evidence.store.failed(kind, digest).filter(pl.col("key").is_in(keys))
    if failed.is_empty():
        return "nothing was measured"
    return failed.sort("model", "pretrained")["reason"][0]
