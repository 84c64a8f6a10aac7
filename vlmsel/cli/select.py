"""``vlmsel select``: rank a zoo for a folder of unlabelled images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.console import emit_json, say
from vlmsel.cli.flags import RunFlags, takes_flags
from vlmsel.redaction import redact


@takes_flags
def select(
    images: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Folder, tar or Parquet of unlabelled images, local or s3:// or gs://.",
            show_default=False,
        ),
    ],
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    selector: Annotated[
        str | None,
        typer.Option(
            help="How to rank; `vlmsel evaluate` compares them. "
            "Default: the one that leave-one-out over the source tasks supports."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Models to show.")] = 5,
    report: Annotated[
        Path | None,
        typer.Option(
            parser=o.output_path,
            metavar="FILE",
            help="Also write an HTML report here.",
            show_default=False,
        ),
    ] = None,
    as_json: o.AsJson = False,
    preset: o.PresetOption = None,
    attribution: o.AttributionOption = None,
    setting: o.SettingOption = None,
    allow_failures: o.AllowFailures = 0,
    *,
    flags: RunFlags,
) -> None:
    """Rank the models of a zoo for images of your own, without labels, and say how far to trust it.

    Needs a store that knows models and source tasks: `vlmsel demo` makes a small one, `vlmsel
    profile` and `vlmsel accuracy` make one of your own. Run again, it measures nothing anew.
    """
    from vlmsel.api.evaluating import current_knowledge, require_fed
    from vlmsel.api.selecting import plan_target, rank_target, target_workspace
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.ranked import name_failures, selection_dict, show_selection
    from vlmsel.cli.running import run_plan, show_failures
    from vlmsel.cli.wants import read_wants
    from vlmsel.selection.registry import make_selector

    if selector is not None:
        make_selector(selector)  # a misspelt name is found before the work, not after it
    said = read_wants(["profile"], preset=preset, attribution=attribution, setting=setting)
    options = flags.options()
    workspace = open_workspace(store, zoo=zoo, tasks=tasks, measurements=said.measurements)
    target = target_workspace(workspace, images)
    plan = plan_target(target, options)
    for used, held in plan.images.values():
        if held > used:
            say(f"{redact(images)} holds {held} images; {used} are used, as of each source task")
    knowledge = current_knowledge(workspace)
    require_fed(selector, knowledge)
    summary = run_plan(plan, workspace.store, options, what=f"profiles of {images}")
    selection = rank_target(target, knowledge, selector=selector)
    if as_json:
        emit_json(selection_dict(selection, top))
    else:
        show_selection(selection, top)
    if report:
        from vlmsel.api.reporting import selection_report

        say(f"report: {selection_report(report, selection, workspace.settings)}")
    lost, before = (
        tuple(failure for failure in failures if failure.image_id is None)
        for failures in (summary.failures, summary.earlier)
    )
    n_images = name_failures(selection.failed_images)
    show_failures(replace(summary, failures=lost, earlier=before))
    n_failed = n_images + len(lost) + len(summary.faults) + len(before)
    if n_failed > allow_failures:
        say(
            f"exit code 1: {n_images} images and {n_failed - n_images} models or cells failed; "
            f"--allow-failures {n_failed} accepts that"
        )
        raise typer.Exit(1)
