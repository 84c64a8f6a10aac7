"""``vlmsel sweep``: leave-one-out of DCD over a grid of eta and gamma."""

from typing import Annotated

import polars as pl
import typer

from vlmsel.cli.judgement_options import (
    AccuracyTables,
    KeepDuplicates,
    ProfileTables,
    gather_tables,
)
from vlmsel.cli.options import (
    DEFAULT_EXPERIMENT,
    AsJson,
    Experiment,
    Imported,
    Store,
    TaskSource,
    TrackingUri,
    ZooSource,
)
from vlmsel.cli.options import DEFAULT_STORE as DEFAULT
from vlmsel.cli.views.console import emit_json, say, show_table
from vlmsel.errors import SettingsError

GRID, MAX_STEPS = "The grid", 1000
# A wider grid is no table to read: its heatmap and its points are in MLflow.
MAX_COLUMNS, N_BEST = 10, 10
ETAS, GAMMAS = "0,0.5,1,2,4,8", "0,0.5,1,2,5,10,20"


def sweep(
    store: Store = DEFAULT,
    zoo: ZooSource = None,
    tasks: TaskSource = None,
    eta: Annotated[
        str,
        typer.Option(
            help="How sharply important blocks outweigh others; 0 weighs all alike. "
            "Values with commas, or FIRST:LAST:COUNT for even steps.",
            rich_help_panel=GRID,
        ),
    ] = ETAS,
    gamma: Annotated[
        str,
        typer.Option(
            help="How sharply similar sources outweigh others; 0 is average rank. "
            "Values with commas, or FIRST:LAST:COUNT for even steps.",
            rich_help_panel=GRID,
        ),
    ] = GAMMAS,
    scaled: Annotated[
        bool,
        typer.Option("--scaled", help="Gamma in units of the spread of DCD.", rich_help_panel=GRID),
    ] = False,
    pooled: Annotated[
        bool,
        typer.Option(
            "--pooled", help="One similarity for all models of a target.", rich_help_panel=GRID
        ),
    ] = False,
    metric: Annotated[
        str, typer.Option(help="Metric of the table that is printed; all are logged.")
    ] = "ndcg5",
    imported: Imported = False,
    accuracies: AccuracyTables = None,
    profiles: ProfileTables = None,
    keep_duplicates: KeepDuplicates = False,
    tracking_uri: TrackingUri = None,
    experiment: Experiment = DEFAULT_EXPERIMENT,
    as_json: AsJson = False,
) -> None:
    """Judge the selector dcd at every eta and gamma of a grid, and log the sweep to MLflow.

    Leave-one-out as in `vlmsel evaluate`. Measures nothing.
    """
    from vlmsel.api.laboratory import sweep_dcd
    from vlmsel.cli.run_records import track_sweep, tracking_uri_for, try_to_log
    from vlmsel.evaluation.metrics import METRICS
    from vlmsel.evaluation.sweep import sweep_means

    if metric not in METRICS:
        raise SettingsError(f"--metric {metric}: there is {', '.join(METRICS)}")
    etas, gammas = numbers("--eta", eta), numbers("--gamma", gamma)
    tracking_uri = tracking_uri_for(store, tracking_uri, experiment)
    knowledge, workspace = gather_tables(
        store, zoo, tasks, imported=imported, accuracies=accuracies, profiles=profiles
    )
    scale = "spread" if scaled else "none"
    points = sweep_dcd(
        knowledge,
        etas=etas,
        gammas=gammas,
        scale=scale,
        pooled=pooled,
        keep_duplicates=keep_duplicates,
    )
    logged = try_to_log(
        lambda: track_sweep(
            points,
            knowledge,
            tracking_uri,
            experiment=experiment,
            settings=workspace.settings if workspace else None,
            options={"scale": scale, "pooled": pooled},
        )
    )
    means = sweep_means(points)
    if as_json:
        mlflow = {"uri": logged[1], "run": logged[0]} if logged else None
        emit_json({"points": means, "mlflow": mlflow})
    else:
        _show(means, metric, knowledge.about)
    if logged is None:
        raise typer.Exit(1)
    if not as_json and logged[1] is not None:
        say(f"sweep {logged[0]} in MLflow: {logged[1]}")


def _show(means: pl.DataFrame, metric: str, about: str) -> None:
    """Print the grid of one metric, or the best points of a wide one."""
    from vlmsel.evaluation.metrics import METRICS

    points = means.filter(pl.col("metric") == metric)
    title = f"{metric}, mean over targets: {about}"
    grid = points.pivot("gamma", index="eta", values="value", maintain_order=True)
    if grid.width <= MAX_COLUMNS:
        names = {column: f"gamma {float(column):.3g}" for column in grid.columns[1:]}
        show_table(grid.rename(names), title=title)
    else:
        falls = METRICS[metric].higher_is_better
        best = points.sort("value", descending=falls).select("eta", "gamma", "value").head(N_BEST)
        show_table(best, title=f"the best {N_BEST} of {points.height} points by {title}")


def numbers(option: str, text: str) -> list[float]:
    """Numbers of a grid axis.

    Raises:
        SettingsError: it is neither numbers with commas nor FIRST:LAST:COUNT.
    """
    try:
        if ":" in text:
            first, last, count = text.split(":")
            low, high, n = float(first), float(last), int(count)
            if not 2 <= n <= MAX_STEPS:
                raise ValueError
            return [low + (high - low) * i / (n - 1) for i in range(n)]
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise SettingsError(
            f"{option} {text!r}: give numbers with commas (0.5,1,2) or FIRST:LAST:COUNT (0:10:20), "
            f"COUNT from 2 to {MAX_STEPS}"
        ) from None
