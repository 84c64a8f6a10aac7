"""One figure a study: a metric against the condition, or the weights as a heatmap."""

from collections.abc import Iterator

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlmsel.evaluation.metrics import METRICS


def condition_figure(table: pl.DataFrame, x: str, metric: str = "ndcg5") -> Figure:
    """Mean and 95 % interval of a metric by selector.

    Args:
        table: of a study with conditions; a column `side` makes one panel a side.
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
        table: of `sources_heard`.
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
