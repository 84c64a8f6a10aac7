"""Logged results: a leave-one-out, a sweep, or the summary of another kind of run."""

import uuid
from collections.abc import Mapping

import polars as pl
from matplotlib.figure import Figure
from mlflow.tracking import MlflowClient

from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.report.figures import sweep_heatmap, to_png
from vlmsel.tracking.mlflow_runs import (
    log_dataset,
    log_files,
    log_metrics,
    log_params,
    open_client,
    open_run,
)
from vlmsel.tracking.run_values import (
    best_points,
    digests,
    leave_one_out_figures,
    metric_name,
    own_params,
    points_table,
    sizes,
    summary_metrics,
    target_metrics,
)

EXPERIMENT = "vlmsel"
_BEST_POINTS = 3


def log_leave_one_out(
    loo: LeaveOneOut,
    *,
    tracking_uri: str,
    accuracies: pl.DataFrame,
    experiment: str = EXPERIMENT,
    params: Mapping[str, object] | None = None,
    profiles: pl.DataFrame | None = None,
    dcd: pl.DataFrame | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[str]:
    """One run per selector: settings, metrics with intervals and by target, tables, figures.

    Tables that all selectors share (accuracies, dcd, left_out) lie once, in the run that the tag
    `shared_tables` names.

    Args:
        loo: the result.
        tracking_uri: where to log.
        accuracies: what was ranked from, the runs' data set: model, pretrained, task, acc1.
        experiment: made when missing.
        params: more parameters; `<selector>.<option>` goes to that selector's run alone.
        profiles: long profiles, for a figure and the number of images.
        dcd: model, pretrained, source, target, dcd.
        tags: more tags, for every run. `store` also names a run that the others nest under, with
            the means of all selectors (`<metric>.<selector>`).

    Returns:
        The run ids, in the order of the selectors' names; the parent is none of them.

    Raises:
        TrackingError: the server or database refuses.
    """
    summary = loo.summary()
    selectors = sorted(loo.metrics["selector"].unique())
    figures = leave_one_out_figures(profiles, dcd)
    shared = {"accuracies": accuracies, "left_out": loo.left_out}
    shared |= {} if dcd is None else {"dcd": dcd}
    with open_client(tracking_uri, experiment) as (client, experiment_id):
        ids: list[str] = []
        group = uuid.uuid4().hex[:12]
        above = dict(tags or {})
        if "store" in above:
            parent_tags = {"group": group, **above}
            above["mlflow.parentRunId"] = _log_parent(client, experiment_id, summary, parent_tags)
        for name in selectors:
            parts = {
                "metrics": loo.metrics.filter(pl.col("selector") == name),
                "summary": summary.filter(pl.col("selector") == name),
                "rankings": loo.rankings.filter(pl.col("selector") == name),
                "weights": loo.weights.filter(pl.col("selector") == name).collect(),
            }
            run_tags = {"group": group, "selector": name, **digests(accuracies), **above}
            with open_run(client, experiment_id, "leave-one-out", name, run_tags) as run_id:
                ids.append(run_id)
                client.set_tag(run_id, "shared_tables", ids[0])
                known = sizes(loo, accuracies, profiles) | {"selector": name}
                log_params(client, run_id, known | own_params(params or {}, name, selectors))
                values = summary_metrics(parts["summary"]) | target_metrics(parts["metrics"])
                log_metrics(client, run_id, ((k, v, 0) for k, v in values.items()))
                tables = {k: t for k, t in parts.items() if not t.is_empty()}
                log_files(client, run_id, tables | (shared if len(ids) == 1 else {}), figures)
                log_dataset(client, run_id, accuracies)
    return ids


def _log_parent(
    client: MlflowClient, experiment_id: str, summary: pl.DataFrame, tags: dict[str, str]
) -> str:
    """A run that others nest under: the mean of every metric, by selector."""
    with open_run(client, experiment_id, "evaluation", tags["store"], tags) as run_id:
        rows = summary.select("metric", "selector", "mean").iter_rows()
        means = ((f"{metric}.{metric_name(who)}", mean, 0) for metric, who, mean in rows)
        log_metrics(client, run_id, means)
        log_files(client, run_id, {"summary": summary}, {})
    return run_id


def log_sweep(
    frame: pl.DataFrame,
    *,
    tracking_uri: str,
    experiment: str = EXPERIMENT,
    params: Mapping[str, object] | None = None,
    accuracies: pl.DataFrame | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """One run for the sweep, and a child run for each of the best three points of every metric.

    The sweep's run holds `best.<metric>`, `best.<metric>.eta`, `best.<metric>.gamma`, and every
    point as a step of `point.<metric>`, `point.eta`, `point.gamma`. A child has plain names.

    Args:
        frame: eta, gamma, metric, value, and target where not yet averaged.
        tracking_uri: where to log.
        experiment: made when missing.
        params: more parameters.
        accuracies: what was ranked from, logged as the run's data set.
        tags: more tags, for every run.

    Returns:
        The id of the sweep's run.

    Raises:
        TrackingError: the server or database refuses, or the frame has no point.
    """
    points = points_table(frame)
    metrics = [name for name in points.columns if name not in {"eta", "gamma"}]
    best = {metric: best_points(points, metric) for metric in metrics}
    values: dict[str, float] = {}
    for metric, table in best.items():
        for column, name in ((metric, ""), ("eta", ".eta"), ("gamma", ".gamma")):
            values[f"best.{metric_name(metric)}{name}"] = table[column][0]
    figures = {f"sweep_{metric_name(m)}": to_png(sweep_heatmap(frame, m)) for m in metrics}
    about = {"n_points": points.height, "n_etas": points["eta"].n_unique()}
    about |= {"n_gammas": points["gamma"].n_unique()}
    run_tags = {**({} if accuracies is None else digests(accuracies)), **(tags or {})}
    with (
        open_client(tracking_uri, experiment) as (client, experiment_id),
        open_run(client, experiment_id, "sweep", "sweep", run_tags) as run_id,
    ):
        log_params(client, run_id, about | dict(params or {}))
        log_metrics(client, run_id, ((k, v, 0) for k, v in values.items()))
        series = (
            (f"point.{metric_name(name)}", row[name], step)
            for step, row in enumerate(points.iter_rows(named=True))
            for name in points.columns
        )
        log_metrics(client, run_id, series)
        log_files(client, run_id, {"sweep": frame, "points": points}, figures)
        if accuracies is not None:
            log_dataset(client, run_id, accuracies)
        child_tags = run_tags | {"mlflow.parentRunId": run_id}
        chosen = pl.concat([t.head(_BEST_POINTS) for t in best.values()])
        for row in chosen.unique(["eta", "gamma"], maintain_order=True).iter_rows(named=True):
            name = f"eta {row['eta']:g}, gamma {row['gamma']:g}"
            with open_run(client, experiment_id, "sweep-point", name, child_tags) as child:
                point = {"eta": row["eta"], "gamma": row["gamma"]}
                log_params(client, child, dict(params or {}) | point)
                named = ((metric_name(k), v, 0) for k, v in row.items() if k not in point)
                log_metrics(client, child, named)
    return run_id


def log_run_summary(
    kind: str,
    *,
    tracking_uri: str,
    experiment: str = EXPERIMENT,
    params: Mapping[str, object] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
    figures: Mapping[str, Figure] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """One run of another kind: a nightly refresh, a study.

    Args:
        kind: the tag to find it by, as `refresh` or `study`.
        tracking_uri: where to log.
        experiment: made when missing.
        params: settings.
        metrics: results; None and NaN are left out.
        tables: file name without ending to frame.
        figures: file name without ending to figure.
        tags: more tags.

    Returns:
        The run's id.

    Raises:
        TrackingError: the server or database refuses.
    """
    with (
        open_client(tracking_uri, experiment) as (client, experiment_id),
        open_run(client, experiment_id, kind, kind, tags or {}) as run_id,
    ):
        log_params(client, run_id, params or {})
        log_metrics(client, run_id, ((metric_name(k), v, 0) for k, v in (metrics or {}).items()))
        pictures = {name: to_png(figure) for name, figure in (figures or {}).items()}
        log_files(client, run_id, tables or {}, pictures)
    return run_id
