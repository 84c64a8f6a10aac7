"""Look at catalogs and store, and plan.

What cannot be used is named and left out; the rest goes on.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vlmsel.errors import ModelError, TaskError, VlmselError
from vlmsel.execution.cells import AccuracyJob, Failure, Job, ProfileJob
from vlmsel.execution.costs import seconds_per_image
from vlmsel.execution.known import known_cells
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Candidate, Plan, plan_cells
from vlmsel.execution.timings import read_timings
from vlmsel.settings import AttributionSettings
from vlmsel.tasks.catalog import TaskCatalog, TaskSpec
from vlmsel.tasks.index import TaskIndex, index_task
from vlmsel.tasks.prompts import ClassPrompts, class_prompts, has_classnames
from vlmsel.tasks.shards import Shard, plan_shards
from vlmsel.zoo.catalog import ModelSpec, Zoo
from vlmsel.zoo.identity import identify

log = logging.getLogger(__name__)

Spec = TypeVar("Spec", ModelSpec, TaskSpec)
Found = TypeVar("Found")

DEFAULT_IMAGES = 25
SHARD_IMAGES = 32


def plan_profiles(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: str,
    settings: AttributionSettings,
    *,
    n_images: int | None = DEFAULT_IMAGES,
    options: RunOptions | None = None,
) -> Plan:
    """What a profile run would do: `describe_plan` shows it.

    Raises:
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used; the first
            reason. Otherwise what cannot be used is in the plan's `faults` and the rest goes on.
        StoreError: the store cannot be read.
    """
    options = options or RunOptions()
    faults: list[Failure] = []
    indexes = _index(tasks.tasks, options, faults)
    shards = {
        name: plan_shards(index, n_images=n_images, shard_images=SHARD_IMAGES)
        for name, index in indexes.items()
    }
    named = {spec.name: spec for spec in tasks.tasks}
    prompts = {name: class_prompts(named[name]) for name in shards if has_classnames(named[name])}
    job = ProfileJob(settings, prompts if settings.objective == "alignment" else {})
    used = {name: sum(len(shard.images) for shard in parts) for name, parts in shards.items()}
    counts = {name: (used[name], len(index.images)) for name, index in indexes.items()}
    return replace(_plan(zoo, shards, job, store, options, faults), images=counts)


def plan_accuracies(
    zoo: Zoo, tasks: TaskCatalog, store: str, *, options: RunOptions | None = None
) -> Plan:
    """What an accuracy run would do; every task is measured on all its images.

    Raises:
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used; for instance,
            no task has class names.
        StoreError: the store cannot be read.
    """
    options = options or RunOptions()
    faults: list[Failure] = []
    prompts: dict[str, ClassPrompts] = _usable(tasks.tasks, class_prompts, _task_fault, faults)
    usable = [spec for spec in tasks.tasks if spec.name in prompts]
    indexes = _index(usable, options, faults)
    shards = {name: (Shard(name, 0, index.images),) for name, index in indexes.items()}
    return _plan(zoo, shards, AccuracyJob(prompts), store, options, faults)


def _plan(
    zoo: Zoo,
    shards: Mapping[str, tuple[Shard, ...]],
    job: Job,
    store: str,
    options: RunOptions,
    faults: list[Failure],
) -> Plan:
    identities = _usable(zoo.models, identify, _model_fault, faults)
    models: list[Candidate] = [
        # A spec that was not read from a catalog may hold a path as it was said.
        (spec.anchored(Path.cwd()), identities[spec.name])
        for spec in zoo.models
        if spec.name in identities
    ]
    settings = job.settings if isinstance(job, ProfileJob) else None
    device = "cuda" if options.n_gpus else options.device or "cpu"
    costs = {spec.name: seconds_per_image(spec, settings, device) for spec, _ in models}
    return plan_cells(
        models,
        shards,
        job,
        known=known_cells(store, job, verify=options.verify, retry_failed=options.retry_failed),
        seconds_per_image=costs | read_timings(store, job),
        faults=tuple(faults),
    )


def _index(
    tasks: Iterable[TaskSpec], options: RunOptions, faults: list[Failure]
) -> dict[str, TaskIndex]:
    """Every usable task's images; files of a task that cannot be read are faults of their own."""

    def index(spec: TaskSpec) -> TaskIndex:
        return index_task(spec, cache=options.index_cache, strict=False)

    indexes = _usable(tasks, index, _task_fault, faults)
    for found in indexes.values():
        faults.extend(Failure("", "", found.task, None, bad.reason) for bad in found.bad)
    return indexes


def _usable(
    specs: Iterable[Spec],
    read: Callable[[Spec], Found],
    fault: Callable[[Spec, str], Failure],
    faults: list[Failure],
) -> dict[str, Found]:
    """What `read` gives by name.

    Its errors become faults, unless nothing is left: then the first is raised.
    """
    found: dict[str, Found] = {}
    first: VlmselError | None = None
    for spec in specs:
        try:
            found[spec.name] = read(spec)
        except (ModelError, TaskError) as error:
            first = first or error
            faults.append(fault(spec, str(error)))
            log.warning("left out: %s", faults[-1])
    if first is not None and not found:
        raise first
    return found


def _model_fault(spec: ModelSpec, reason: str) -> Failure:
    return Failure(spec.model, spec.pretrained, "", None, reason)


def _task_fault(spec: TaskSpec, reason: str) -> Failure:
    return Failure("", "", spec.name, None, reason)
