"""``vlmsel refresh``: the nightly run."""

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.option_groups import RunFlags, WantFlags, takes_flags
from vlmsel.cli.views.console import emit_json, say, show_table, warn
from vlmsel.cli.views.run_progress import progress_bar
from vlmsel.redaction import redact


@takes_flags
def refresh(
    wanted: WantFlags,
    dry_run: o.DryRun = False,
    allow_failures: o.AllowFailures = 0,
    tracking_uri: o.TrackingUri = None,
    as_json: o.AsJson = False,
    *,
    flags: RunFlags,
) -> None:
    """Measure only what changed since the last run, of every kind that the store is for.

    New models and tasks, new weights under an old tag, new images, other settings. Profiles and
    predictions always, embeddings where they were measured before. What left the catalogs is kept
    and not used. A lease in the store keeps two refreshes from doing the same work. Made to be run
    every night; each run is logged to MLflow.
    """
    from vlmsel.api.refresh import refresh as run_refresh
    from vlmsel.api.workspace import DEFAULT_KINDS, open_workspace
    from vlmsel.cli.run_records import tracking_uri_for
    from vlmsel.cli.views.plan_run import finish, summary_dict
    from vlmsel.cli.views.plan_view import dry_run as show_plan

    workspace = open_workspace(
        wanted.store,
        zoo=wanted.zoo,
        tasks=wanted.tasks,
        kinds=DEFAULT_KINDS,
        forget_damaged=wanted.in_full,
    )
    # What a refresh is tuned by.
    asked = wanted.read(workspace.wants, counted=["profile"])
    workspace = workspace.with_wants(asked.measurements, asked.n_images)
    options = flags.options()
    if dry_run:
        show_plan(
            options,
            lambda options: workspace.plan(workspace.wants, options, name_unprompted=False),
            as_json=as_json,
            price=flags.price,
        )
        return
    uri = tracking_uri_for(wanted.store, tracking_uri)
    with progress_bar("refresh") as bar:
        found = run_refresh(
            workspace,
            tracking_uri=uri,
            options=options,
            on_plan=bar.expect,
            on_outcome=bar.tick,
        )
    done, run = found.done, found.run
    shown = None if uri is None else redact(uri)
    summary = done.summary
    counts = done.changes.group_by("kind", "change").agg(pairs=pl.len()).sort("kind", "change")
    if as_json:
        emit_json(summary_dict(summary) | {"changes": counts, "mlflow": {"uri": shown, "run": run}})
    else:
        show_table(counts, title="what changed, in pairs of model and task per kind")
        if run is not None:
            say(f"refresh {run} in MLflow: {shown}")
    if found.not_logged is not None:
        warn(f"all that was measured is in the store, but not logged in MLflow: {found.not_logged}")
    finish(summary, what="refresh", allow_failures=allow_failures, as_json=False)
    if found.not_logged is not None:
        raise typer.Exit(1)
