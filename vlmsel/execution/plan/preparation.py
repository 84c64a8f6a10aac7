"""From catalogs and a store to a plan.

What cannot be used is named and left out; the rest goes on.
"""

from collections.abc import Sequence
from dataclasses import replace

from vlmsel.errors import TaskError
from vlmsel.evidence.catalog_contents import Catalogued, look_up
from vlmsel.evidence.failure import Failure
from vlmsel.evidence.wanted_cells import wanted_ids, wanted_shards
from vlmsel.execution.plan.costs import seconds_per_image
from vlmsel.execution.plan.known_cells import known_cells
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.timings import read_timings
from vlmsel.execution.plan.units import Job
from vlmsel.execution.plan.work_plan import Plan, plan_cells
from vlmsel.measurements.measurement import Want
from vlmsel.store.store import Store
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo


def plan_measurements(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: Store,
    wants: Sequence[Want],
    *,
    options: RunOptions | None = None,
    name_unprompted: bool = True,
) -> Plan:
    """Plan the work of a run; `describe_plan` shows it.

    Args:
        zoo: the models.
        tasks: the tasks.
        store: what is there already.
        wants: measurements, each with its number of images.
        options: how it is done.
        name_unprompted: whether tasks without class names are faults of the measurements that read
            them; else they are passed over.

    Raises:
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used; the first
            reason. Otherwise what cannot be used is in the plan's `faults` and the rest goes on.
        StoreError: the store cannot be read.
    """
    options = options or RunOptions()
    catalogued = look_up(zoo, tasks, index_cache=options.index_cache)
    return plan_catalogued(
        catalogued, store, wants, options=options, name_unprompted=name_unprompted
    )


def plan_catalogued(
    catalogued: Catalogued,
    store: Store,
    wants: Sequence[Want],
    *,
    options: RunOptions,
    name_unprompted: bool = True,
) -> Plan:
    """The same for catalogs that were looked at already.

    Raises:
        TaskError: no task has the class names that every wanted measurement reads.
        StoreError: the store cannot be read.
    """
    faults = [*catalogued.faults]
    if name_unprompted:
        faults += find_unprompted(catalogued, wants)
    if any(want.measurement.of_texts for want in wants):
        faults += catalogued.text_faults
    shards = wanted_shards(catalogued, wants)
    if not shards and faults:
        raise TaskError(faults[-1].reason)
    job = Job({want.kind: want.measurement for want in wants}, catalogued.prompts)
    device = "cuda" if options.n_gpus else options.device or "cpu"
    timed = {
        kind: read_timings(store, measurement) for kind, measurement in job.measurements.items()
    }
    costs = {
        spec.name: {
            kind: timed[kind].get(spec.name) or seconds_per_image(spec, measurement, device)
            for kind, measurement in job.measurements.items()
        }
        for spec, _ in catalogued.models
    }
    known = known_cells(
        store,
        job,
        lambda: wanted_ids(catalogued.models, shards),
        verify=options.verify,
        retry_failed=options.retry_failed,
    )
    plan = plan_cells(
        catalogued.models,
        shards,
        job,
        known=known,
        seconds_per_image=costs,
        faults=tuple(faults),
    )
    guessed = {name for name in costs for kind in job.measurements if name not in timed[kind]}
    return replace(
        plan,
        images=_count_images(catalogued, wants),
        guessed=frozenset(guessed),
        passed_over=catalogued.passed_over,
    )


def find_unprompted(catalogued: Catalogued, wants: Sequence[Want]) -> list[Failure]:
    """Tasks without the class names that a wanted measurement reads, as faults."""
    texts = [want.kind for want in wants if want.measurement.of_texts]
    readers = [want.kind for want in wants if want.measurement.reads_prompts or want.kind in texts]
    what = " and ".join(readers)
    found = []
    for task in catalogued.indexes:
        prompts = catalogued.prompts.get(task)
        if readers and prompts is None:
            reason = (
                f"task '{task}' has no class names, which {what} needs: add `classnames` or "
                "`prompts` to its catalog"
            )
        elif texts and isinstance(prompts, TaskQuestions):
            reason = f"task '{task}' asks questions of each image: texts need class names"
        else:
            continue
        found.append(Failure("", "", task, None, reason))
    return found


def _count_images(catalogued: Catalogued, wants: Sequence[Want]) -> dict[str, tuple[int, int]]:
    """By task, how many images the widest want takes, and how many there are."""
    wants = [want for want in wants if not want.measurement.of_texts]
    if not wants:
        return {}
    counts = {task: len(index.images) for task, index in catalogued.indexes.items()}
    most = max((want.n_images or max(counts.values(), default=0) for want in wants), default=0)
    return {task: (min(most, count), count) for task, count in counts.items()}
