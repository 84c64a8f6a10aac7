"""``vlmsel select --use probe|fine-tune``: labels decide, and the sources' probes."""

from typing import TYPE_CHECKING

import polars as pl
import typer

from vlmsel.cli.answer_flags import AnswerFlags
from vlmsel.cli.views.console import emit_json, note, say, show_table, tell, warn
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from vlmsel.api.trained_use import TrainedSelection
    from vlmsel.execution.plan.run_options import RunOptions


def select_trained_command(
    images: str,
    where: tuple[str, str | None, str | None],
    asked: AnswerFlags,
    options: "RunOptions",
    *,
    top: int,
    as_json: bool,
    allow_failures: int,
    log_to: tuple[str | None, str],
) -> None:
    """Embed what is missing, rank, show.

    Args:
        images: the folder.
        where: store, zoo and tasks.
        asked: use and labels.
        options: where to run.
        top: models to show.
        as_json: write JSON.
        allow_failures: failures that leave the exit code at 0.
        log_to: tracking URI, None for nowhere, and experiment.
    """
    from vlmsel.api.label_scores import EMBEDDING, PREDICTION, labelled_target
    from vlmsel.api.trained_use import select_trained
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.views.plan_run import finish_beside, list_passed_over, run_plan

    labels = _labels(asked)
    store, zoo, tasks = where
    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    target = labelled_target(workspace, images, labels)
    plan = target.workspace.plan([EMBEDDING, PREDICTION], options)
    summary = run_plan(plan, target.workspace.store, options, what=f"embeddings of {images}")
    use = "probe" if asked.use.value == "probe" else "fine-tune"
    found = select_trained(workspace, target, use, run=options)
    if as_json:
        emit_json({**_as_dict(found, top), "passed_over": list_passed_over(summary)})
    else:
        _show(found, top)
    tracking_uri, experiment = log_to
    is_logged = True
    if tracking_uri is not None:
        from vlmsel.cli.run_records import log_choice, track_trained

        is_logged = log_choice(
            lambda: track_trained(found, store, tracking_uri, experiment=experiment)
        )
    finish_beside(summary, allow_failures)
    if not is_logged:
        raise typer.Exit(1)


def _labels(asked: AnswerFlags) -> "Path":
    """The file of labels; other options of the zero-shot answer are refused.

    Raises:
        SettingsError: no labels, or an option that means nothing here.
    """
    if asked.labels is None:
        raise SettingsError(
            f"--use {asked.use} needs labels: --labels FILE, a CSV with the columns image and label"
        )
    for option, value in (
        ("--classnames", asked.classnames),
        ("--prompts", asked.prompts),
        ("--template", asked.template),
        ("--questions", asked.questions),
        ("--answers", asked.answers != AnswerFlags.answers),
        ("--ignore-labels", asked.ignore_labels),
        ("--labels-are-random", asked.labels_are_random),
        ("--no-thumbnails", asked.no_thumbnails),
        ("--evaluated", asked.evaluated),
        ("--shortlist", asked.shortlist),
        ("--max-params", asked.max_params),
        ("--max-ms", asked.max_ms),
        ("--dry-run", asked.dry_run),
        ("--tolerance", asked.tolerance != AnswerFlags.tolerance),
    ):
        if value:
            raise SettingsError(f"{option} belongs to --use zero-shot, not to --use {asked.use}")
    return asked.labels


def _show(found: "TrainedSelection", top: int) -> None:
    first = found.ranking.row(0, named=True)
    tell(f"for {found.use}: {first['model']}/{first['pretrained']}")
    shown = _shown_table(found).head(top)
    title = f"{found.target}, the first {shown.height} of {found.ranking.height} models"
    show_table(shown, title=title)
    note("score: mixed place, lower is better; a column per score: its place")
    note("by images: the place when the images are resampled within classes (95 %)")
    note("average: mean place of its probes on the source tasks; probe, zero-shot: accuracy here")
    tell(found.mixture.sentence)
    if found.mixture.n_sources:
        tell(f"each of them was shown {found.shots} images per class, in several draws")
    for line in found.scores.notes:
        say(line)
    for line in found.notes:
        warn(line)
    for model, pretrained, why in found.scores.left_out.iter_rows():
        warn(f"left out {model}/{pretrained}: {why}")


def _shown_table(found: "TrainedSelection") -> pl.DataFrame:
    """The ranking under short headers; columns without any value are gone."""
    table = found.ranking
    bounds = (pl.col(name).cast(pl.Int64) for name in ("low", "high"))
    columns = [
        pl.col("rank"),
        pl.concat_str("model", "pretrained", separator="/").alias("model"),
        pl.col("score"),
        pl.format("{} - {}", *bounds).alias("by images"),
        *(pl.col(name).round(1).cast(pl.String) for name in found.mixture.names if name in table),
        pl.col("average_rank").round(1).cast(pl.String).alias("average"),
        pl.col("probe_accuracy").alias("probe"),
        pl.col("zero_shot_accuracy").alias("zero-shot"),
    ]
    shown = table.select(columns)
    return shown.drop([name for name in shown.columns if shown[name].is_null().all()])


def _as_dict(found: "TrainedSelection", top: int) -> dict[str, object]:
    weights = zip(found.mixture.names, found.mixture.weights.tolist(), strict=True)
    return {
        "target": found.target,
        "use": found.use,
        "ranking": found.ranking.head(top),
        "n_models": found.ranking.height,
        "weights": dict(weights),
        "n_sources": found.mixture.n_sources,
        "why": found.mixture.sentence,
        "notes": [*found.scores.notes, *found.notes],
        "left_out": found.scores.left_out,
    }
