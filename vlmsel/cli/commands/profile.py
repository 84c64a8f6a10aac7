"""``vlmsel profile``: measure how every model's visual encoder works on every task."""

from vlmsel.cli import options as o
from vlmsel.cli.commands.measure import measure_kinds
from vlmsel.cli.option_groups import RunFlags, WantFlags, takes_flags


@takes_flags
def profile(
    wanted: WantFlags,
    dry_run: o.DryRun = False,
    allow_failures: o.AllowFailures = 0,
    as_json: o.AsJson = False,
    *,
    flags: RunFlags,
) -> None:
    """Measure how every model of a zoo works on every task; nothing is measured twice.

    A profile says how much each block of a model's visual encoder contributes on a task's images.
    The store remembers zoo, tasks and settings, so that later commands need only --store. Short for
    `vlmsel measure profile`.
    """
    from vlmsel.cli.views.plan_run import finish

    found = measure_kinds(
        ["profile"], wanted, flags, what="profiles", dry_run=dry_run, as_json=as_json
    )
    if found is not None:
        _, summary = found
        finish(summary, what="profiles", allow_failures=allow_failures, as_json=as_json)
