"""Lines over an ordered axis: conductance by block, and error by what was spent on it."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vlmsel.report.figure_style import MUTED, PAGE_WIDTH, canvas, line_styles

_COLOURED_TASKS = 8


def profile_curves(
    profiles: pl.DataFrame, *, model: str, pretrained: str, highlight: Sequence[str] = ()
) -> Figure:
    """Conductance by block of one model: the mean over images, with its standard error as a band.

    Args:
        profiles: long: model, pretrained, task, image_id, block, conductance.
        model: whose blocks.
        pretrained: which checkpoint.
        highlight: tasks to draw in colour, the target first; the others are grey behind them.
            Without it the first eight by name are coloured.
    """
    rows = profiles.filter(
        pl.col("model") == model, pl.col("pretrained") == pretrained, pl.col("block").is_not_null()
    )
    means = (
        rows.group_by("task", "block")
        .agg(
            pl.col("conductance").mean().alias("mean"),
            (pl.col("conductance").std() / pl.len().sqrt()).fill_null(0.0).alias("error"),
        )
        .sort("task", "block")
    )
    tasks = means["task"].unique().sort().to_list()
    coloured = [t for t in highlight if t in tasks] or tasks[:_COLOURED_TASKS]
    with canvas(PAGE_WIDTH, 3.4) as (figure, axes):
        for task in (t for t in tasks if t not in coloured):
            curve = means.filter(pl.col("task") == task)
            axes.plot(curve["block"], curve["mean"], color=MUTED, alpha=0.45, linewidth=0.9)
        for (colour, dash), task in zip(line_styles(), coloured, strict=False):
            curve = means.filter(pl.col("task") == task)
            x, mean, error = (curve[name].to_numpy() for name in ("block", "mean", "error"))
            axes.fill_between(x, mean - error, mean + error, color=colour, alpha=0.13, linewidth=0)
            first = task == next(iter(highlight), None)
            width, above = (2.8, 3) if first else (1.4, 2)
            axes.plot(x, mean, dash, color=colour, linewidth=width, zorder=above, label=f" {task}")
        if len(coloured) < len(tasks):
            axes.plot(
                [],
                [],
                color=MUTED,
                alpha=0.45,
                linewidth=0.9,
                label=f"{len(tasks) - len(coloured)} others",
            )
        positive = means.filter(pl.col("mean") > 0)["mean"].to_numpy()
        if positive.size and positive.max() > 100 * positive.min():
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("block, from input to output")
        axes.set_ylabel("conductance")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=2.2)
    return figure


def study_curves(
    frame: pl.DataFrame, *, x: str, y: str, by: str, threshold: float | None = None
) -> Figure:
    """Draw `y` against `x`, one line per value of `by`; logarithmic where values span decades.

    Args:
        frame: one row per point; several rows for one point are averaged.
        x: column of the horizontal axis, a number.
        y: column of the vertical axis, a number.
        by: column that names the line.
        threshold: a level of `y` to mark, as 0.01 for one per cent.
    """
    points = frame.group_by(by, x).agg(pl.col(y).mean()).sort(by, x)
    with canvas(PAGE_WIDTH, 3.4) as (figure, axes):
        for (colour, dash), name in zip(line_styles(), points[by].unique().sort(), strict=False):
            line = points.filter(pl.col(by) == name)
            axes.plot(
                line[x], line[y], dash, color=colour, marker="o", markersize=3, label=f" {name}"
            )
        if threshold is not None:
            axes.axhline(threshold, color=MUTED, linewidth=0.8, linestyle=":")
            axes.annotate(
                f"{threshold:g}",
                (1, threshold),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
            )
        for axis, scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
            values = points[axis].drop_nulls().to_numpy()
            if values.size and values.min() > 0 and values.max() / values.min() >= 16:
                scale("log", base=2 if axis == x else 10)
        if axes.get_xscale() == "log":
            ticks = np.unique(points[x].to_numpy())
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xlabel(x.replace("_", " "))
        axes.set_ylabel(y.replace("_", " "))
        axes.legend(title=by.replace("_", " "), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
