"""``vlmsel accuracy``: zero-shot accuracy of every model on every labelled task."""

import polars as pl

from vlmsel.cli import options as o


def accuracy(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    executor: o.ExecutorOption = o.Executor.local,
    device: o.Device = None,
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
    as_json: o.AsJson = False,
) -> None:
    """Measure the zero-shot accuracy of every model on every labelled task; nothing twice.

    A task needs class names and labelled images; every image of the task counts. These accuracies
    are what is known of the source tasks when a zoo is ranked for a new one.
    """
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.console import show_table
    from vlmsel.cli.planned import dry_run as show_plans
    from vlmsel.cli.running import finish, run_options, run_plan
    from vlmsel.execution.limits import Limits
    from vlmsel.store.accuracies import AccuracyStore

    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    options = run_options(
        executor,
        device=device,
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
        show_plans(options, {"accuracies": workspace.plan_accuracies}, as_json=as_json)
        return
    plan = workspace.plan_accuracies(options)
    summary = run_plan(plan, store, options, what="accuracies")
    if not as_json:
        keys = {cell.key for cell in plan.wanted}
        table = AccuracyStore(store).scan(keys=keys).filter(pl.col("source") == "measured")
        wide = table.sort("task", "model").pivot(
            "task", index=["model", "pretrained"], values="acc1", maintain_order=True
        )
        if wide.width <= MAX_COLUMNS:
            show_table(wide, title="zero-shot accuracy", decimals=2)
    finish(summary, what="accuracies", allow_failures=allow_failures, as_json=as_json)


# More tasks than this do not fit beside each other on a terminal.
MAX_COLUMNS = 14
