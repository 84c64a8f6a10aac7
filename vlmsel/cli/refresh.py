"""``vlmsel refresh``: the nightly run."""

import polars as pl

from vlmsel.cli import options as o
from vlmsel.cli.console import emit_json, say, show_table
from vlmsel.cli.progress import progress_bar
from vlmsel.redaction import redact


def refresh(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    n_images: o.Images = None,
    preset: o.PresetOption = None,
    attribution: o.AttributionOption = None,
    setting: o.SettingOption = None,
    executor: o.ExecutorOption = o.Executor.local,
    device: o.Device = None,
    max_memory: o.MaxMemory = None,
    workers: o.Workers = None,
    address: o.Address = None,
    n_gpus: o.Gpus = 0,
    threads: o.Threads = 1,
    log_level: o.LogLevelOption = o.LogLevelChoice.warning,
    verify: o.Verify = True,
    dry_run: o.DryRun = False,
    retry_failed: o.RetryFailed = False,
    deadline: o.Deadline = None,
    patience: o.Patience = o.PATIENCE_S,
    allow_failures: o.AllowFailures = 0,
    tracking_uri: o.TrackingUri = None,
    as_json: o.AsJson = False,
) -> None:
    """Measure only what changed since the last run: profiles, and accuracies of labelled tasks.

    New models and tasks, new weights under an old tag, new images, other settings. What left the
    catalogs is kept and not used. A lease in the store keeps two refreshes from doing the same
    work. Made to be run every night; each run is logged to MLflow.
    """
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.planned import dry_run as show_plans
    from vlmsel.cli.running import finish, run_options, summary_dict
    from vlmsel.cli.tracked import tracking_uri_for
    from vlmsel.execution.limits import Limits
    from vlmsel.execution.plan import Plan
    from vlmsel.execution.refresh import refresh as run_refresh
    from vlmsel.tracking import log_run_summary

    settings = o.settings_from(preset, attribution, setting)
    workspace = open_workspace(store, zoo=zoo, tasks=tasks, settings=settings, n_images=n_images)
    options = run_options(
        executor,
        device=device,
        max_memory=max_memory,
        workers=workers,
        address=address,
        n_gpus=n_gpus,
        threads=threads,
        log_level=log_level,
        retry_failed=retry_failed,
        limits=Limits(deadline, patience),
        verify=verify,
    )
    if dry_run:
        labelled = workspace.labelled
        accuracies = {"accuracies": labelled.plan_accuracies} if labelled else {}
        show_plans(options, {"profiles": workspace.plan_profiles, **accuracies}, as_json=as_json)
        return
    uri = tracking_uri_for(store, tracking_uri)
    with progress_bar("refresh") as bar:

        def begin(plan: Plan) -> None:
            # Not before the lease is ours: a refused refresh must not choose for the next one.
            workspace.remember()
            bar.expect(plan)

        done = run_refresh(
            workspace.zoo,
            workspace.tasks,
            store,
            workspace.settings,
            n_images=workspace.n_images,
            options=options,
            on_plan=begin,
            on_outcome=bar.tick,
        )
    summary = done.profiles + done.accuracies
    run = log_run_summary(
        "refresh",
        tracking_uri=uri,
        params={
            "zoo": workspace.zoo_source,
            "tasks": workspace.tasks_source,
            "store": redact(store),
        }
        | workspace.settings.model_dump(),
        metrics={
            "measured": summary.measured,
            "skipped": summary.skipped,
            "failures": summary.n_failures,
            "seconds": summary.total.seconds,
        },
        tables={"changes": done.changes, "by_model_and_task": summary.frame()},
    )
    counts = done.changes.group_by("change").agg(pairs=pl.len()).sort("change")
    if as_json:
        emit_json(
            summary_dict(summary) | {"changes": counts, "mlflow": {"uri": redact(uri), "run": run}}
        )
    else:
        show_table(counts, title="what changed, in pairs of model and task")
        say(f"refresh {run} in MLflow: {redact(uri)}")
    finish(summary, what="refresh", allow_failures=allow_failures, as_json=False)
