"""Figures of studies: a metric against the condition, weights as a heatmap, and others."""

from collections.abc import Callable, Iterator
from functools import partial

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlmsel.evaluation.leave_one_out import BASELINE
from vlmsel.evaluation.metrics import METRICS


def condition_figure(table: pl.DataFrame, x: str, metric: str = "ndcg5") -> Figure:
    """Mean and 95 % interval of a metric by selector.

    Args:
        table: of a study with conditions; a column `side` makes one panel per side.
        x: column of the condition.
        metric: name of the metric.
    """
    chosen = table.filter(metric=metric)
    panels = list(_panels(chosen))
    figure = Figure(figsize=(5.5 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axis, (title, rows) in zip(axes, panels, strict=True):
        _lines(axis, rows, x)
        axis.set(xlabel=x.replace("_", " "), title=title)
    axes[0].set_ylabel(METRICS[metric].definition, wrap=True)
    axes[-1].legend(fontsize="small")
    return figure


def weights_figure(table: pl.DataFrame) -> Figure:
    """One heatmap a selector: targets down, sources across.

    Args:
        table: of `sources_weighed`.
    """
    names = table["selector"].unique().sort().to_list()
    figure = Figure(figsize=(6 * len(names), 5.5), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        wide = table.filter(selector=name).pivot("source", index="target", values="weight")
        wide = wide.select("target", *sorted(wide.columns[1:])).sort("target")
        image = axis.imshow(wide.drop("target").to_numpy().astype(float), vmin=0)
        axis.set_xticks(range(len(wide.columns) - 1), wide.columns[1:], rotation=90, fontsize=7)
        axis.set_yticks(range(len(wide)), wide["target"].to_list(), fontsize=7)
        axis.set(title=name, xlabel="source", ylabel="target")
        figure.colorbar(image, ax=axis, label="weight", shrink=0.7)
    return figure


def zoos_figure(table: pl.DataFrame, metrics: tuple[str, ...] = ("ndcg5", "tau")) -> Figure:
    """Difference to average rank over the random zoos: mean and the middle 95 %.

    Args:
        table: of `other_zoos`.
        metrics: one panel each.
    """
    known = table.filter(pl.col("selector") != "average-rank", pl.col("delta").is_not_null())
    names = known["selector"].unique().sort(descending=True).to_list()
    size = (5 * len(metrics), 1.5 + 0.3 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        rows = known.filter(metric=metric).sort("selector", descending=True)
        mean, low, high = (rows[name].to_numpy() for name in ("delta", "delta_low", "delta_high"))
        axis.axvline(0, color="grey", linewidth=0.8)
        at = [names.index(name) for name in rows["selector"]]
        axis.errorbar(mean, at, xerr=[mean - low, high - mean], fmt="o", capsize=3)
        axis.set_yticks(range(len(names)), names)
        axis.set_xlabel(f"{metric}: difference to average rank")
    return figure


def labels_figure(
    table: pl.DataFrame,
    metrics: tuple[str, ...] = ("ndcg5", "tau"),
    rival: str = "average-rank",
    selector: str = "posterior",
) -> Figure:
    """Gain over a rival against the number of labels: mean and 95 % interval, a line per table.

    Args:
        table: of `labels_rows`, one table or several.
        metrics: one panel each.
        rival: whose difference is shown.
        selector: which gains.
    """
    chosen = table.filter(selector=selector, rival=rival)
    figure = Figure(figsize=(5.5 * len(metrics), 4), layout="constrained")
    axes = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        axis.axhline(0, color="grey", linewidth=0.8)
        for (name,), rows in chosen.filter(metric=metric).group_by("table", maintain_order=True):
            at = rows["n_labels"].to_numpy()
            mean, low, high = (
                rows[part].to_numpy() for part in ("delta", "delta_low", "delta_high")
            )
            axis.errorbar(at, mean, yerr=[mean - low, high - mean], fmt="o-", capsize=3, label=name)
        axis.set(xlabel="labelled images", ylabel=f"{metric}: difference to {rival}")
        axis.set_xscale("symlog", linthresh=10)
    axes[-1].legend(fontsize="small")
    figure.suptitle(f"{selector} with simulated labels", fontsize="medium")
    return figure


def saving_figure(table: pl.DataFrame) -> Figure:
    """Realised (solid) and stated (dashed) ratio of variances against the number of labels.

    Args:
        table: of `saving_of_predictions`, one zoo or several.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    axis.axhline(1, color="grey", linewidth=0.8)
    for (name,), rows in table.group_by("table", maintain_order=True):
        at = rows["n_labels"].to_numpy()
        lines = axis.plot(at, rows["realised"].to_numpy(), "o-", label=name)
        axis.plot(at, rows["stated"].to_numpy(), "--", color=lines[0].get_color())
    axis.set(xlabel="labelled images", ylabel="variance over that of plain hits")
    axis.legend(fontsize="small", title="realised (dashed: stated)")
    return figure


def orders_figure(table: pl.DataFrame, metrics: tuple[str, ...] = ("regret1", "tau")) -> Figure:
    """Metrics of picking orders against the number of labels, a row of panels per table.

    Args:
        table: of `judge_orders`, one table or several.
        metrics: one panel each.
    """
    tables = table["table"].unique(maintain_order=True).to_list()
    size = (4 * len(metrics), 2.6 * len(tables) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(tables), len(metrics), squeeze=False)
    for row, name in zip(axes, tables, strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            rows = table.filter(table=name, metric=metric)
            for (selector,), part in rows.group_by("selector", maintain_order=True):
                axis.plot(
                    part["n_labels"].to_numpy(), part["mean"].to_numpy(), "o-", label=selector
                )
            axis.set(xlabel="labelled images", ylabel=metric, title=name)
    axes[0, 0].legend(fontsize="x-small")
    return figure


def _panels(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    if "side" not in rows.columns:
        yield "", rows
        return
    for (side,), part in rows.group_by("side", maintain_order=True):
        yield f"images of the {side}", part


def _lines(axis: Axes, rows: pl.DataFrame, x: str) -> None:
    labelled = rows[x].dtype == pl.String
    places = {value: i for i, value in enumerate(rows[x].unique(maintain_order=True))}
    for (selector,), part in rows.group_by("selector", maintain_order=True):
        at = [places[value] for value in part[x]] if labelled else part[x].to_list()
        mean, low, high = (part[name].to_numpy() for name in ("mean", "low", "high"))
        style = "o" if labelled else "o-"
        axis.errorbar(
            at, mean, yerr=[mean - low, high - mean], fmt=style, capsize=3, label=selector
        )
    if labelled:
        axis.set_xticks(range(len(places)), list(places))


def benchmark_figure(summary: pl.DataFrame) -> Figure:
    """Mean weighted tau of every score and rival with its 95 % interval, one panel per pool.

    Args:
        summary: of `summarise_benchmarks`.
    """
    rows = summary.filter(metric="weighted_tau")
    pools = rows["pool"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(4.5 * len(pools), 4.5), layout="constrained")
    axes = figure.subplots(1, len(pools), squeeze=False)[0]
    for axis, pool in zip(axes, pools, strict=True):
        part = rows.filter(pool=pool).sort("mean")
        place = range(len(part))
        low = (part["mean"] - part["low"]).to_numpy()
        high = (part["high"] - part["mean"]).to_numpy()
        axis.errorbar(part["mean"].to_numpy(), place, xerr=[low, high], fmt="o")
        axis.axvline(part.filter(selector=BASELINE)["mean"].item(), linestyle=":")
        axis.set_yticks(place, part["selector"].to_list(), fontsize=7)
        axis.set(title=pool, xlabel="weighted tau, mean over data sets")
    return figure


def objectives_figure(rows: pl.DataFrame) -> Figure:
    """Change of NDCG@5 against the reference of each group, with its interval."""
    shown = rows.filter(
        pl.col("metric") == "ndcg5",
        pl.col("change").is_not_null() & (pl.col("variant") != "average-rank"),
        pl.col("selector").is_in(["dcd-pooled", "distance", "approach"]),
    ).filter((pl.col("change") != 0) | (pl.col("change_low") != 0))
    names = [f"{zoo}: {variant}" for zoo, variant in shown.select("zoo", "variant").rows()]
    figure = Figure(figsize=(8, 1.2 + 0.22 * len(names)), layout="constrained")
    axis = figure.subplots()
    places = list(range(len(names)))[::-1]
    mean, low, high = (shown[name].to_numpy() for name in ("change", "change_low", "change_high"))
    axis.axvline(0, color="grey", linewidth=0.8)
    axis.errorbar(mean, places, xerr=[mean - low, high - mean], fmt="o", capsize=2, markersize=3)
    axis.set_yticks(places, names, fontsize=7)
    axis.set_xlabel("ndcg5: change against the reference of its group")
    return figure


def prompts_figure(accuracies: pl.DataFrame) -> Figure:
    """Mean accuracy over the models, one row per task and one mark per set of templates.

    Args:
        accuracies: task, templates, acc1, as `vlmsel.api.prompt_study.summarise` makes them.
    """
    wide = accuracies.pivot("templates", index="task", values="acc1", maintain_order=True)
    figure = Figure(figsize=(7, 0.4 * wide.height + 1.5), layout="constrained")
    axes = figure.subplots()
    for name in wide.columns[1:]:
        axes.plot(wide[name], wide["task"], "o", label=name, alpha=0.7)
    axes.set_xlabel("accuracy, mean over the models")
    axes.legend()
    return figure


# By the name of a study in `vlmsel.evaluation.studies.STUDIES`.
STUDY_FIGURES: dict[str, Callable[[pl.DataFrame], Figure]] = {
    "images": partial(condition_figure, x="n_images"),
    "granularity": partial(condition_figure, x="granularity"),
    "attribution": partial(condition_figure, x="attribution"),
    "noise": partial(condition_figure, x="sigma"),
    "off-task": partial(condition_figure, x="share"),
    "sources": weights_figure,
    "zoos": zoos_figure,
}
