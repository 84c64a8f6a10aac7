"""``vlmsel measure``: every kind of measurement in one pass; `profile` and `accuracy` are words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.option_groups import RunFlags, WantFlags, takes_flags

if TYPE_CHECKING:
    from vlmsel.api.workspace import Workspace
    from vlmsel.execution.run_summary import RunSummary

Kinds = Annotated[
    list[str],
    typer.Argument(
        metavar="KIND...",
        help="profile, prediction, embedding, knockout, text.",
        show_default=False,
    ),
]


@takes_flags
def measure(
    kinds: Kinds,
    wanted: WantFlags,
    dry_run: o.DryRun = False,
    allow_failures: o.AllowFailures = 0,
    as_json: o.AsJson = False,
    *,
    flags: RunFlags,
) -> None:
    """Measure several kinds at once: a model is loaded and an image decoded once for all of them.

    profile: how much each block contributes. prediction: what the model answers over the task's
    classes; accuracies are derived from it. embedding: the image vector; predictions for other
    classes are derived from it. knockout: the answers with every layer silenced in turn
    (--set tower=vision|text, part=block|attention|mlp|branch|uniform-weights). text: the vectors of
    prompts, captions and synonyms, for selectors that look at texts; it reads no image. Nothing is
    measured twice.
    """
    from vlmsel.cli.views.plan_run import finish
    from vlmsel.measurements.kinds import measurement_class

    names = list(dict.fromkeys(kinds))
    for name in names:
        measurement_class(name)
    found = measure_kinds(
        names,
        wanted,
        flags,
        what=" and ".join(f"{name}s" for name in names),
        dry_run=dry_run,
        as_json=as_json,
    )
    if found is not None:
        _, summary = found
        finish(summary, what="measure", allow_failures=allow_failures, as_json=as_json)


def measure_kinds(
    kinds: Sequence[str],
    wanted: WantFlags,
    flags: RunFlags,
    *,
    labels: Sequence[str] | None = None,
    what: str,
    dry_run: bool,
    as_json: bool,
) -> tuple["Workspace", "RunSummary"] | None:
    """Measure some kinds and remember the choice; None after a dry run."""
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.views.plan_run import run_plan
    from vlmsel.cli.views.plan_view import dry_run as show_plan
    from vlmsel.cli.wanted_kinds import labels_by_task

    asked = wanted.read(kinds)
    workspace = open_workspace(
        wanted.store,
        zoo=wanted.zoo,
        tasks=wanted.tasks,
        kinds=kinds,
        measurements=asked.measurements,
        n_images=asked.n_images,
    )
    files = labels_by_task(workspace.tasks, labels)
    workspace = workspace.with_labels(files)
    for task in files:
        # A mistake in them is found before the work.
        workspace.catalogued.labels(task)
    options = flags.options()
    if dry_run:
        show_plan(
            options,
            lambda options: workspace.plan(kinds, options),
            as_json=as_json,
            price=flags.price,
        )
        return None
    plan = workspace.plan(kinds, options)
    workspace.remember()
    return workspace, run_plan(plan, workspace.store, options, what=what)
