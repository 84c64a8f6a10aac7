"""``vlmsel profile``: measure how every model's visual encoder works on every task."""

from vlmsel.cli import options as o
from vlmsel.cli.measure import measure_kinds
from vlmsel.cli.run_flags import RunFlags, takes_run_flags


@takes_run_flags
def profile(
    flags: RunFlags,
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    n_images: o.Images = None,
    preset: o.PresetOption = None,
    attribution: o.AttributionOption = None,
    setting: o.SettingOption = None,
    dry_run: o.DryRun = False,
    allow_failures: o.AllowFailures = 0,
    as_json: o.AsJson = False,
) -> None:
    """Measure how every model of a zoo works on every task; nothing is measured twice.

    A profile says how much each block of a model's visual encoder contributes on a task's images.
    The store remembers zoo, tasks and settings, so that later commands need only --store. Short for
    `vlmsel measure profile`.
    """
    from vlmsel.cli.running import finish
    from vlmsel.cli.wants import read_wants

    said = read_wants(
        ["profile"], preset=preset, attribution=attribution, setting=setting, n_images=n_images
    )
    found = measure_kinds(
        ["profile"],
        said,
        flags,
        store=store,
        zoo=zoo,
        tasks=tasks,
        what="profiles",
        dry_run=dry_run,
        as_json=as_json,
    )
    if found is not None:
        _, summary = found
        finish(summary, what="profiles", allow_failures=allow_failures, as_json=as_json)
