"""Values of a run for MLflow: names, numbers, digests and figures. Pure."""

import hashlib
import re
from collections.abc import Mapping

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import TrackingError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.metrics import METRICS
from vlmsel.report.figures import dcd_heatmap, profile_curves, to_png


def metric_name(text: str) -> str:
    """The text in the characters that MLflow allows in a name; others as `_<hex>_`."""
    # A name of dots alone would walk up the path that MLflow sees in a name.
    strange = r"[^A-Za-z0-9_\-. ]" if text.strip(".") else "."
    return re.sub(strange, lambda found: f"_{ord(found[0]):x}_", text) or "_"


def summary_metrics(summary: pl.DataFrame) -> dict[str, float | None]:
    """`ndcg5`, `ndcg5.low`, `ndcg5.high`, `ndcg5.delta`, ... of one selector."""
    values: dict[str, float | None] = {}
    for row in summary.iter_rows(named=True):
        values[row["metric"]] = row["mean"]
        for bound in ("low", "high", "delta", "delta_low", "delta_high"):
            values[f"{row['metric']}.{bound}"] = row[bound]
    return values


def target_metrics(metrics: pl.DataFrame) -> dict[str, float | None]:
    """`ndcg5/target/<task>` of one selector."""
    rows = metrics.select("metric", "target", "value").iter_rows()
    return {f"{m}/target/{metric_name(t)}": v for m, t, v in rows}


def own_params(params: Mapping[str, object], name: str, selectors: list[str]) -> dict[str, object]:
    """The parameters of one selector's run: the common ones, and its own without the prefix."""
    others = tuple(f"{s}." for s in selectors)
    common = {k: v for k, v in params.items() if not k.startswith(others)}
    mark = f"{name}."
    return common | {k.removeprefix(mark): v for k, v in params.items() if k.startswith(mark)}


def sizes(
    loo: LeaveOneOut, accuracies: pl.DataFrame, profiles: pl.DataFrame | None
) -> dict[str, object]:
    """Parameters: how many models, targets, tasks and, where there are profiles, images."""
    counts: dict[str, object] = {
        "n_models": loo.rankings.select(MODEL).n_unique(),
        "n_targets": loo.rankings["target"].n_unique(),
        "n_tasks": accuracies["task"].n_unique(),
    }
    if profiles is not None and "image_id" in profiles.columns:
        counts["n_images"] = profiles.select("task", "image_id").n_unique()
    return counts


def digests(accuracies: pl.DataFrame) -> dict[str, str]:
    """Tags `models_digest` and `tasks_digest`: equal when the names are."""
    models = sorted({f"{m}/{p}" for m, p in accuracies.select(MODEL).iter_rows()})
    tasks = sorted(accuracies["task"].unique())
    return {
        f"{kind}_digest": hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        for kind, names in (("models", models), ("tasks", tasks))
    }


def leave_one_out_figures(
    profiles: pl.DataFrame | None, dcd: pl.DataFrame | None
) -> dict[str, bytes]:
    """Figures of what a leave-one-out was made from, as PNG, by name."""
    figures = {}
    if dcd is not None and not dcd.is_empty():
        figures["dcd"] = to_png(dcd_heatmap(dcd))
    if profiles is not None and not profiles.is_empty():
        model, pretrained = profiles.select(MODEL).sort(MODEL).row(0)
        figures["profiles"] = to_png(profile_curves(profiles, model=model, pretrained=pretrained))
    return figures


def points_table(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per point: eta, gamma, and a column per metric, means over targets."""
    if frame.is_empty():
        raise TrackingError(
            "the sweep has no point, so there is nothing to log; give eta and gamma"
        )
    mean = frame.group_by("eta", "gamma", "metric").agg(pl.col("value").mean()).sort("metric")
    return mean.pivot("metric", index=["eta", "gamma"], values="value").sort("eta", "gamma")


def best_points(points: pl.DataFrame, metric: str) -> pl.DataFrame:
    """The points with the best of one metric first; ties by eta, then gamma."""
    higher = METRICS[metric].higher_is_better if metric in METRICS else True
    return points.sort(metric, "eta", "gamma", descending=[higher, False, False], nulls_last=True)
