"""From catalogs and a store to a summary.

Look at what is there, plan what is not, and have it done.
"""

import logging
from collections.abc import Callable, Sequence

from vlmsel.execution.lease import LEASES, hold_run_lease
from vlmsel.execution.plan.placement import Resources
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.timings import TIMINGS, write_timings
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.execution.work.run_log import RUNS, logged_run
from vlmsel.measurements.kinds import measurement_kinds
from vlmsel.measurements.measurement import Want
from vlmsel.published.stored_tables import IMPORTED
from vlmsel.store.failed_images import FAILED_IMAGES
from vlmsel.store.failures import FAILURES
from vlmsel.store.store import Store
from vlmsel.tasks.index_cache import forget_sources
from vlmsel.tasks.shards import CHANGED
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

log = logging.getLogger(__name__)

# Where runs write beside the kinds' folders; a store may lie in a folder with other things.
WRITTEN = (FAILURES, FAILED_IMAGES, IMPORTED, TIMINGS, LEASES, RUNS)

OnOutcome = Callable[[CellOutcome], None]


def execute(
    plan: Plan,
    store: Store,
    *,
    options: RunOptions | None = None,
    on_outcome: OnOutcome | None = None,
) -> RunSummary:
    """Run a plan. The summary also counts what was there before and what could not be planned.

    Raises:
        ExecutionError: the work cannot be placed.
        StoreError: results cannot be written.
    """
    options = options or RunOptions()
    if plan.work:
        # A folder that cannot be written is found before models are loaded, not after.
        for measurement in plan.job.measurements.values():
            store.prepare(measurement)
        n_left = store.folder.clean((*measurement_kinds(), *WRITTEN))
        if n_left:
            log.info("deleted %d temporary file(s) of killed runs", n_left)
    done = _execute_recorded(plan, store, options, on_outcome) if plan.work else RunSummary()
    write_timings(store, plan.job, done.tallies)
    forget_sources(_changed_sources(plan, done))
    before = RunSummary(
        faults=plan.faults,
        already_measured=plan.n_measured,
        earlier=plan.earlier,
        passed_over=plan.passed_over,
    )
    return done + before


def _changed_sources(plan: Plan, done: RunSummary) -> set[str]:
    """Files whose images were found to be others than the plan was made with."""
    changed = [failure for failure in done.failures if CHANGED in failure.reason]
    images = {(failure.task, failure.image_id) for failure in changed if failure.image_id}
    tasks = {failure.task for failure in changed if not failure.image_id}
    if not changed:
        return set()
    shards = {unit.shard for work in plan.work for unit in work.units}
    return {
        ref.source
        for shard in shards
        for ref in shard.images
        if shard.task in tasks or (shard.task, ref.image_id) in images
    }


def measure(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: Store,
    wants: Sequence[Want],
    *,
    options: RunOptions | None = None,
    on_outcome: OnOutcome | None = None,
) -> RunSummary:
    """Measure everything missing, all kinds in one pass; see `plan_measurements`, `execute`."""
    plan = plan_measurements(zoo, tasks, store, wants, options=options)
    return execute(plan, store, options=options, on_outcome=on_outcome)


def cluster_supply(options: RunOptions) -> Resources:
    """Read the current resources of the cluster; nothing is asked of its autoscaler.

    Raises:
        ExecutionError: there is no cluster, or it can never have the GPUs that are asked for.
    """
    from vlmsel.execution.executors.ray.session import check_gpus, cluster_resources, ray_session

    with ray_session(options.address):
        check_gpus(options.n_gpus)
        return cluster_resources()


def _execute_recorded(
    plan: Plan, store: Store, options: RunOptions, on_outcome: OnOutcome | None
) -> RunSummary:
    """Run a plan under a run's lease, and keep its log in the store."""
    with hold_run_lease(store.uri), logged_run(store.folder, options) as run_log:

        def settle(outcome: CellOutcome) -> None:
            run_log.note(outcome)
            if on_outcome is not None:
                on_outcome(outcome)

        return _execute(plan, store.uri, options, settle)


def _execute(
    plan: Plan, store: str, options: RunOptions, on_outcome: OnOutcome | None
) -> RunSummary:
    # Imported here: planning needs neither torch nor Ray.
    if options.executor == "local":
        from vlmsel.execution.executors.local import run_local

        return run_local(
            plan,
            store,
            device=options.device,
            max_memory_gb=options.max_memory_gb,
            threads=options.threads,
            limits=options.limits,
            on_outcome=on_outcome,
        )
    from vlmsel.execution.executors.ray.actor_pool import run_ray

    return run_ray(plan, store, options, on_outcome=on_outcome)
