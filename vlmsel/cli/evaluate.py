"""``vlmsel evaluate``: leave-one-out of every selector on what a store knows."""

import polars as pl

from vlmsel.cli.console import emit_json, note, say, show_table, warn
from vlmsel.cli.options import (
    DEFAULT_EXPERIMENT,
    AsJson,
    Experiment,
    Imported,
    SelectorNames,
    Store,
    TaskSource,
    TrackingUri,
    ZooSource,
)
from vlmsel.cli.options import DEFAULT_STORE as DEFAULT


def evaluate(
    store: Store = DEFAULT,
    zoo: ZooSource = None,
    tasks: TaskSource = None,
    selector: SelectorNames = None,
    imported: Imported = False,
    tracking_uri: TrackingUri = None,
    experiment: Experiment = DEFAULT_EXPERIMENT,
    as_json: AsJson = False,
) -> None:
    """Judge the selectors: leave every task out once, rank the zoo for it, compare with the truth.

    The table shows the mean of every metric over the tasks with its 95 % interval (paired bootstrap
    over tasks); each selector becomes a run in MLflow. Measures nothing.
    """
    from vlmsel.api.evaluating import evaluate as run_evaluation
    from vlmsel.cli.knowing import gather
    from vlmsel.cli.tracked import track_evaluation, tracking_uri_for

    tracking_uri = tracking_uri_for(store, tracking_uri)
    knowledge, settings = gather(store, zoo, tasks, imported=imported)
    loo = run_evaluation(knowledge, selector)
    summary = loo.summary()
    ids, uri = track_evaluation(
        loo, knowledge, store, tracking_uri, experiment=experiment, settings=settings
    )
    if as_json:
        emit_json(
            {"summary": summary, "left_out": loo.left_out, "mlflow": {"uri": uri, "runs": ids}}
        )
        return
    show_summary(summary, knowledge.about)
    show_left_out(loo.left_out)
    say(f"{len(ids)} runs in MLflow: {uri}")


def show_summary(summary: pl.DataFrame, about: str) -> None:
    """Print selectors x metrics, each as mean with interval; a star marks a clear difference."""
    from vlmsel.evaluation.metrics import METRICS

    clear = (pl.col("delta_low") > 0) | (pl.col("delta_high") < 0)
    cells = summary.with_columns(
        cell=pl.format(
            "{} [{} {}]{}",
            *(pl.col(c).map_elements(short, pl.String) for c in ("mean", "low", "high")),
            pl.when(clear).then(pl.lit("*")).otherwise(pl.lit("")),
        )
    )
    table = cells.pivot("metric", index="selector", values="cell", maintain_order=True)
    show_table(table, title=f"leave-one-out: {about}")
    note("* differs from average-rank: the 95 % interval of the difference excludes zero")
    for name, metric in METRICS.items():
        note(f"  {name}: {metric.definition}")


def short(value: float) -> str:
    """Three decimals without the leading zero, as tables of scores print them."""
    return f"{value:.3f}".replace("0.", ".", 1)


def show_left_out(left_out: pl.DataFrame) -> None:
    """Say what the evaluation could not use, and why; what has one name is counted."""
    for (kind, name), rows in left_out.group_by("kind", "name", maintain_order=True):
        more = f" (and {rows.height - 1} more like it)" if rows.height > 1 else ""
        warn(f"left out {kind} {name}: {rows['reason'][0]}{more}")
