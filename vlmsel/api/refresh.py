"""The nightly run: measure what changed, remember the choices, log what was done."""

from collections.abc import Callable
from dataclasses import dataclass

from vlmsel.api.workspace import Workspace
from vlmsel.errors import TrackingError
from vlmsel.execution.nightly import Refreshed
from vlmsel.execution.nightly import refresh as run_refresh
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan


@dataclass(frozen=True)
class Refresh:
    """A nightly run that is done.

    Attributes:
        done: what changed and what was measured.
        run: its id in MLflow; None where it was not logged.
        not_logged: why it could not be.
    """

    done: Refreshed
    run: str | None
    not_logged: str | None = None


def refresh(
    workspace: Workspace,
    *,
    tracking_uri: str | None,
    options: RunOptions | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_outcome: Callable[[CellOutcome], None] | None = None,
) -> Refresh:
    """Measure what changed since the last run, of every kind that a workspace wants, and log it.

    Args:
        workspace: zoo, tasks, store and wanted measurements; remembered by the store once this run
            holds its lease.
        tracking_uri: where MLflow logs it; None logs nothing.
        options: how it is done.
        on_plan: called with the plan before it is done.
        on_outcome: called with every settled cell.

    Raises:
        VlmselError: see `vlmsel.execution.nightly.refresh`.
    """

    def begin(plan: Plan) -> None:
        # Not before the lease is ours: a refused refresh must not choose for the next one.
        workspace.remember()
        if on_plan is not None:
            on_plan(plan)

    done = run_refresh(
        workspace.zoo,
        workspace.tasks,
        workspace.store,
        list(workspace.wants.values()),
        options=options,
        on_plan=begin,
        on_outcome=on_outcome,
    )
    if tracking_uri is None:
        return Refresh(done, None)
    from vlmsel.tracking import log_run_summary

    summary = done.summary
    try:
        run = log_run_summary(
            "refresh",
            tracking_uri=tracking_uri,
            params={
                "zoo": workspace.zoo_source,
                "tasks": workspace.tasks_source,
                "store": workspace.address,
            }
            | workspace.settings.model_dump()
            | {"kinds": ",".join(workspace.wants)},
            metrics={
                "measured": summary.measured,
                "skipped": summary.skipped,
                "failures": summary.n_failures,
                "seconds": summary.total.seconds,
            },
            tables={"changes": done.changes, "by_model_and_task": summary.frame()},
        )
    except TrackingError as error:
        # The work is in the store: what came of it is said in any case.
        return Refresh(done, None, str(error))
    return Refresh(done, run)
