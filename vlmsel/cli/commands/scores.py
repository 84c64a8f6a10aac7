"""``vlmsel scores``: which model's features carry the classes of a labelled folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.option_groups import RunFlags, takes_flags
from vlmsel.cli.views.console import emit_json, note, say, show_table, warn, warn_of_some
from vlmsel.columns import MODEL
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.api.label_scores import LabelScores

SHOWN_LEFT_OUT = 10
SUFFIXES = (".parquet", ".csv")


@takes_flags
def scores(
    images: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Folder, tar or Parquet of images, local or s3:// or gs://.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels",
            parser=o.input_file,
            metavar="FILE",
            help="CSV with the columns image (its id) and label (a class name), of a random part "
            "of the images, or of all.",
            show_default=False,
        ),
    ],
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            "--estimator",
            metavar="NAME",
            help="A score (docs/guide/scores.md), or `all`; may be given more than once. "
            "Default: logme, probe.",
            show_default=False,
        ),
    ] = None,
    resamples: Annotated[
        int,
        typer.Option(min=0, help="Resamples of the images for intervals of places; 0 for none."),
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of folds, floors and resamples.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=o.output_path,
            metavar="FILE",
            help="Also write the table here: .parquet or .csv.",
            show_default=False,
        ),
    ] = None,
    tracking_uri: o.TrackingUri = None,
    experiment: o.Experiment = o.DEFAULT_EXPERIMENT,
    as_json: o.AsJson = False,
    allow_failures: o.AllowFailures = 0,
    *,
    flags: RunFlags,
) -> None:
    """Score a zoo's features of labelled images: which model to probe or to fine-tune.

    Embeds the images with every model (once; run again, it embeds nothing anew) and computes every
    score that means something for these sizes; the others say why not. Shows value, floor, place
    and its interval beside the accuracy of a linear probe. Logs a run of kind `scores`.
    """
    from vlmsel.api.label_scores import EMBEDDING, PREDICTION, labelled_target, score_target
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.run_records import track_scores, tracking_uri_for, try_to_log
    from vlmsel.cli.views.output_files import write_output_table
    from vlmsel.cli.views.plan_run import finish_beside, list_passed_over, run_plan

    names = _names(estimator)
    if out is not None and out.suffix not in SUFFIXES:
        raise SettingsError(f"--out {out.name}: name it as {' or '.join(SUFFIXES)}")
    options = flags.options()
    target = labelled_target(open_workspace(store, zoo=zoo, tasks=tasks), images, labels)
    uri = tracking_uri_for(store, tracking_uri)
    plan = target.workspace.plan([EMBEDDING, PREDICTION], options)
    summary = run_plan(plan, target.workspace.store, options, what=f"embeddings of {images}")
    found = score_target(target, names, n_resamples=resamples, seed=seed, run=options)
    if out is not None:
        write_output_table(out, found.table, "--out")
    params: dict[str, object] = {"seed": seed, "images": images}
    logged = try_to_log(lambda: track_scores(found, uri, experiment=experiment, params=params))
    if as_json:
        emit_json(
            {
                "scores": found.table,
                "left_out": found.left_out,
                "notes": found.notes,
                "passed_over": list_passed_over(summary),
                "mlflow": {"uri": logged[1], "run": logged[0]} if logged else None,
            }
        )
    else:
        _show(found, images)
        if logged and logged[1] is not None:
            say(f"run {logged[0]} in MLflow: {logged[1]}")
    finish_beside(summary, allow_failures)
    if logged is None:
        raise typer.Exit(1)


def _names(chosen: list[str] | None) -> tuple[str, ...]:
    """Names of scores, checked before any work.

    Raises:
        SelectionError: there is no score of a name.
    """
    from vlmsel.selection.transfer import DEFAULT_ESTIMATORS, estimator_names
    from vlmsel.selection.transfer.score_catalog import find_estimator

    names = chosen or list(DEFAULT_ESTIMATORS)
    if "all" in names:
        return estimator_names()
    for name in names:
        find_estimator(name)
    return tuple(names)


def _show(found: "LabelScores", images: str) -> None:
    for line in found.notes:
        say(line)
    for (name,), rows in found.table.group_by("estimator", maintain_order=True):
        ranked = rows.filter(pl.col("place").is_not_null())
        if ranked.is_empty():
            warn(f"{name} ranks nothing: {rows['reason'].drop_nulls().first()}")
            continue
        shown = rows.sort("place", *MODEL, nulls_last=True).select(
            "place", "place_low", "place_high", *MODEL, "value", "floor", "probe_accuracy",
            "zero_shot_accuracy", "dimensions", "reason",
        )  # fmt: skip
        empty = [c for c in shown.columns if shown[c].is_null().all()]
        show_table(shown.drop(empty), title=f"{name}: {images}")
    note("place_low, place_high: 95 % interval of the place, images resampled within classes")
    note("values of one score compare models of these images, and nothing else")
    lines = [f"left out {m}/{p}: {why}" for m, p, why in found.left_out.iter_rows()]
    warn_of_some(lines, SHOWN_LEFT_OUT)
