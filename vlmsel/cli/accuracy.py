"""``vlmsel accuracy``: zero-shot accuracy of every model on every labelled task."""

from dataclasses import replace
from typing import TYPE_CHECKING

from vlmsel.cli import options as o
from vlmsel.cli.measure import measure_kinds
from vlmsel.cli.run_flags import RunFlags, takes_run_flags

if TYPE_CHECKING:
    from vlmsel.evidence.evidence import Evidence

# More tasks than this do not fit beside each other on a terminal.
MAX_COLUMNS = 14


@takes_run_flags
def accuracy(
    flags: RunFlags,
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    n_images: o.Images = None,
    setting: o.SettingOption = None,
    labels: o.LabelFiles = None,
    dry_run: o.DryRun = False,
    allow_failures: o.AllowFailures = 0,
    as_json: o.AsJson = False,
) -> None:
    """Zero-shot accuracy of every model on every labelled task; no image is answered twice.

    Measures the predictions that are missing (`vlmsel measure prediction`) and joins them with the
    labels: class folders, .cls members, a column, or --labels. To mend a label measures nothing.
    These accuracies are what is known of the source tasks when a zoo is ranked for a new one.
    """
    from vlmsel.cli.running import finish
    from vlmsel.cli.wants import read_wants
    from vlmsel.evidence.evidence import Evidence

    said = read_wants(["prediction"], setting=setting, n_images=n_images)
    found = measure_kinds(
        ["prediction"],
        said,
        flags,
        store=store,
        zoo=zoo,
        tasks=tasks,
        labels=labels,
        what="predictions",
        dry_run=dry_run,
        as_json=as_json,
    )
    if found is None:
        return
    workspace, summary = found
    evidence = Evidence(workspace.store, workspace.catalogued, workspace.wants)
    faults = evidence.label_faults + evidence.unanswered_faults
    summary = replace(summary, faults=summary.faults + faults)
    if not as_json:
        _show(evidence)
    more = {"accuracies": evidence.accuracies} if as_json else {}
    finish(summary, what="accuracies", allow_failures=allow_failures, as_json=as_json, more=more)


def _show(evidence: "Evidence") -> None:
    from vlmsel.cli.console import show_table

    wide = evidence.accuracies.sort("task", "model").pivot(
        "task", index=["model", "pretrained"], values="acc1", maintain_order=True
    )
    if wide.height and wide.width <= MAX_COLUMNS:
        show_table(wide, title="zero-shot accuracy", decimals=2)
