"""``vlmsel select``: rank a zoo for a folder of unlabelled images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.answer_flags import AnswerFlags, AnswerUse
from vlmsel.cli.option_groups import RunFlags, takes_flags
from vlmsel.cli.views.console import emit_json, say
from vlmsel.errors import SettingsError
from vlmsel.redaction import redact

if TYPE_CHECKING:
    from vlmsel.api.known_zoo import KnownZoo
    from vlmsel.api.selection import Selection
    from vlmsel.execution.plan.work_plan import Plan
    from vlmsel.tasks.pictures import Pictures


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
    tracking_uri: o.TrackingUri = None,
    experiment: o.Experiment = o.DEFAULT_EXPERIMENT,
    preset: o.PresetOption = None,
    attribution: o.AttributionOption = None,
    setting: o.SettingOption = None,
    allow_failures: o.AllowFailures = 0,
    profile_anyway: Annotated[
        bool,
        typer.Option(
            "--profile-anyway",
            help="Run the models on the images even where the selector does not look at them: says "
            "whether any source is like them.",
        ),
    ] = False,
    *,
    asked: AnswerFlags,
    flags: RunFlags,
) -> None:
    """Say which model to use for images of your own, and how far to trust that.

    Without a store it answers about public models, from published accuracies. With class names
    models answer on the images; with a few labels it says what a wrong choice costs and when to
    stop labelling. With images alone it needs a store of profiles: `vlmsel demo` makes a small
    one. Run again, it measures nothing anew.
    """
    run = flags.options()
    if asked.use is not AnswerUse.zero_shot:
        from vlmsel.cli.commands.select_use import select_trained_command

        _refuse_profiled(asked.use, selector, report, profile_anyway=profile_anyway)
        _refuse_settings(preset, attribution, setting)
        select_trained_command(
            images,
            (store, zoo, tasks),
            asked,
            run,
            top=top,
            as_json=as_json,
            allow_failures=allow_failures,
            log_to=(tracking_uri, experiment),
        )
        return
    if profile_anyway and asked.are_said:
        raise SettingsError(
            "--profile-anyway ranks images alone: leave it out, or the options about class names "
            "and labels"
        )
    known = None if profile_anyway else _known_zoo(images, (store, zoo, tasks), selector, asked)
    if known is not None:
        _refuse_settings(preset, attribution, setting)
        from vlmsel.cli.views.answer_view import (
            Shown,
            answer_command,
            end_with_answer,
            read_options,
        )

        answer = answer_command(images, known, read_options(asked, selector), run)
        shown = Shown(top, as_json, report, not asked.no_thumbnails, tracking_uri, experiment)
        end_with_answer(answer, store, shown, allow_failures=allow_failures)
        return
    from vlmsel.api.image_selection import Steps, select_by_images
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.views.plan_run import say_plan
    from vlmsel.cli.views.ranking_view import selection_dict, show_selection
    from vlmsel.cli.views.run_progress import progress_bar
    from vlmsel.cli.wanted_kinds import read_wants

    profile = read_wants(["profile"], preset=preset, attribution=attribution, setting=setting)
    with progress_bar(f"profiles of {images}") as bar:

        def begin(plan: "Plan") -> None:
            say_plan(plan, what=f"profiles of {images}")
            bar.expect(plan)

        steps = Steps(
            on_pictures=lambda pictures: _say_images(pictures, images),
            on_plan=begin,
            on_outcome=bar.tick,
        )
        selection = select_by_images(
            images,
            store=open_workspace(store, zoo=zoo, tasks=tasks, measurements=profile.measurements),
            selector=selector,
            profile_anyway=profile_anyway,
            options=run,
            steps=steps,
        )
    if as_json:
        emit_json(selection_dict(selection, top))
    else:
        show_selection(selection, top)
    if report:
        from vlmsel.api.report_inputs import selection_report

        say(f"report: {selection_report(report, selection)}")
    from vlmsel.cli.run_records import log_choice, track_selection

    is_logged = log_choice(
        lambda: track_selection(selection, store, tracking_uri, experiment=experiment)
    )
    _finish(selection, allow_failures)
    if not is_logged:
        raise typer.Exit(1)


def _refuse_profiled(
    use: AnswerUse, selector: str | None, report: Path | None, *, profile_anyway: bool
) -> None:
    """Refuse options of rankings by profiles and answers.

    Raises:
        SettingsError: one was given.
    """
    given = {"--selector": selector, "--report": report, "--profile-anyway": profile_anyway}
    for option, value in given.items():
        if value:
            raise SettingsError(f"{option} belongs to --use zero-shot, not to --use {use}")


def _refuse_settings(
    preset: o.Preset | None, attribution: o.AttributionChoice | None, setting: list[str] | None
) -> None:
    """Refuse settings of profiles where none is looked at.

    Raises:
        SettingsError: one was given.
    """
    for option, value in (("--preset", preset), ("--attribution", attribution), ("--set", setting)):
        if value:
            raise SettingsError(
                f"{option} says how profiles are measured, and this answer looks at none: leave it "
                "out (--selector dcd ranks by profiles)"
            )


def _known_zoo(
    images: str,
    where: tuple[str, str | None, str | None],
    selector: str | None,
    asked: AnswerFlags,
) -> "KnownZoo | None":
    """The zoo to answer about; None where images alone are ranked by the profiles of a store.

    A folder without the default store, and an empty store with class names, are asked about the
    published models. Class folders are none to a selector that looks at no answers.
    """
    from vlmsel.api.known_zoo import is_empty, known_zoo, shipped_zoo, stored_zoo

    store, zoo, tasks = where
    if asked.are_said:
        return known_zoo(store, zoo, tasks)
    if tasks is None and is_empty(store):
        is_default = store == o.store_address(o.DEFAULT_STORE)
        return shipped_zoo(store, zoo) if is_default else None
    if _needs_answers(selector) and _has_class_folders(images):
        return stored_zoo(store, zoo, tasks)
    return None


def _needs_answers(selector: str | None) -> bool:
    """True if a selector looks at answers, or any may be chosen."""
    from vlmsel.selection.registry import make_selector

    return selector is None or make_selector(selector).needs_answers


def _has_class_folders(images: str) -> bool:
    from vlmsel.tasks.class_folders import find_class_folders
    from vlmsel.tasks.index import index_task
    from vlmsel.tasks.task_catalog import folder_task

    spec = folder_task(images)
    index = index_task(spec, strict=False)
    return bool(find_class_folders(spec.images, [ref.image_id for ref in index.images]))


def _say_images(pictures: "Pictures", images: str) -> None:
    n_used = pictures.n_read + len(pictures.unreadable)
    if pictures.n_held > n_used:
        say(
            f"{redact(images)} holds {pictures.n_held} images; {n_used} are used, as of each "
            "source task"
        )


def _finish(selection: "Selection", allow_failures: int) -> None:
    """Name what failed and end with the true exit code."""
    from vlmsel.cli.views.plan_run import finish_for_images
    from vlmsel.cli.views.ranking_view import name_failures
    from vlmsel.execution.run_summary import RunSummary

    n_images = name_failures(selection.failed_images)
    finish_for_images(selection.summary or RunSummary(), n_images, allow_failures)
