"""``vlmsel profile``: measure how every model's visual encoder works on every task."""

from vlmsel.cli import options as o


def profile(
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
    as_json: o.AsJson = False,
) -> None:
    """Measure how every model of a zoo works on every task; nothing is measured twice.

    A profile says how much each block of a model's visual encoder contributes on a task's images.
    The store remembers zoo, tasks and settings, so that later commands need only --store.
    """
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.planned import dry_run as show_plans
    from vlmsel.cli.running import finish, run_options, run_plan
    from vlmsel.execution.limits import Limits

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
        show_plans(options, {"profiles": workspace.plan_profiles}, as_json=as_json)
        return
    plan = workspace.plan_profiles(options)
    workspace.remember()
    summary = run_plan(plan, store, options, what="profiles")
    finish(summary, what="profiles", allow_failures=allow_failures, as_json=as_json)
