"""``vlmsel accuracy``: zero-shot accuracy of every model on every labelled task."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.commands.measure import measure_kinds
from vlmsel.cli.option_groups import RunFlags, WantFlags, takes_flags

if TYPE_CHECKING:
    from vlmsel.evidence.evidence import Evidence

# More tasks than this do not fit beside each other on a terminal.
MAX_COLUMNS = 14

Details = Annotated[
    Path | None,
    typer.Option(
        parser=o.output_path,
        metavar="FOLDER",
        help="Also write per_class.csv, confusion.csv and calibration.csv here.",
        show_default=False,
    ),
]


@takes_flags
def accuracy(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    n_images: o.Images = None,
    setting: o.SettingOption = None,
    labels: o.LabelFiles = None,
    details: Details = None,
    dry_run: o.DryRun = False,
    allow_failures: o.AllowFailures = 0,
    as_json: o.AsJson = False,
    *,
    flags: RunFlags,
) -> None:
    """Zero-shot accuracy of every model on every labelled task; no image is answered twice.

    Measures the predictions that are missing (`vlmsel measure prediction`) and joins them with the
    labels: class folders, .cls members, a column, or --labels. To mend a label measures nothing.
    These accuracies are what is known of the source tasks when a zoo is ranked for a new one.
    """
    from vlmsel.cli.views.plan_run import finish
    from vlmsel.evidence.evidence import Evidence
    from vlmsel.evidence.option_metrics import option_metrics

    found = measure_kinds(
        ["prediction"],
        WantFlags(store=store, zoo=zoo, tasks=tasks, n_images=n_images, setting=setting),
        flags,
        labels=labels,
        what="predictions",
        dry_run=dry_run,
        as_json=as_json,
    )
    if found is None:
        return
    workspace, summary = found
    evidence = Evidence(
        workspace.store, workspace.catalogued, workspace.wants, with_logits=details is not None
    )
    if details is not None:
        _write_details(evidence, details)
    faults = evidence.label_faults + evidence.unanswered_faults
    summary = replace(summary, faults=summary.faults + faults)
    by_options = option_metrics(
        workspace.store, workspace.catalogued, workspace.wants["prediction"]
    )
    if not as_json:
        _show(evidence)
        _show_options(by_options)
    more = {"accuracies": evidence.accuracies, "options": by_options} if as_json else {}
    finish(summary, what="accuracies", allow_failures=allow_failures, as_json=as_json, more=more)


def _write_details(evidence: "Evidence", folder: Path) -> None:
    """Accuracy by class, confusion table and calibration error, one CSV each.

    Raises:
        StoreError: the folder cannot be written.
    """
    from vlmsel.cli.views.console import say
    from vlmsel.cli.views.output_files import write_output_table
    from vlmsel.evidence.accuracies import calibration_error, confusion, per_class_accuracies

    rows = [
        (task, label, name)
        for task, prompts in evidence.catalogued.prompts.items()
        for label, name in enumerate(prompts.classnames)
    ]
    schema = {"task": pl.String, "label": pl.Int32, "classname": pl.String}
    names = pl.DataFrame(rows, schema=schema, orient="row")
    answers = names.rename({"label": "argmax", "classname": "answer"})
    tables = {
        "per_class": per_class_accuracies(evidence.labelled).join(
            names, on=["task", "label"], how="left", maintain_order="left"
        ),
        "confusion": confusion(evidence.labelled)
        .join(names, on=["task", "label"], how="left", maintain_order="left")
        .join(answers, on=["task", "argmax"], how="left", maintain_order="left"),
        "calibration": calibration_error(evidence.labelled),
    }
    for name, table in tables.items():
        write_output_table(folder / f"{name}.csv", table, "--details")
    say(f"details: {', '.join(str(folder / f'{name}.csv') for name in tables)}")


def _show(evidence: "Evidence") -> None:
    from vlmsel.cli.views.console import show_table

    wide = evidence.accuracies.sort("task", "model").pivot(
        "task", index=["model", "pretrained"], values="acc1", maintain_order=True
    )
    if wide.height and wide.width <= MAX_COLUMNS:
        show_table(wide, title="zero-shot accuracy", decimals=2)


def _show_options(metrics: pl.DataFrame) -> None:
    """Both metrics of tasks of questions, since the two differ, most of all under knockouts."""
    from vlmsel.cli.views.console import say, show_table

    if metrics.is_empty():
        return
    title = "accuracy on questions by how options are scored, and answers outside of them"
    show_table(metrics, title=title, decimals=3)
    say(
        "sum, mean: log-probability of an option, or per character; generated: greedy answers; "
        "outside: probability of all but the options; unanswered: share of generated answers that "
        "are none of them; another column: vlmsel measure prediction --set options=generated"
    )
