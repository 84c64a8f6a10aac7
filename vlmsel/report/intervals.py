"""Estimates with their uncertainty: selectors side by side, and ranks of models."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlmsel.report.figure_style import INK, MUTED, PAGE_WIDTH, SERIES, canvas

_SHOWN_MODELS = 25


def selector_comparison(summary: pl.DataFrame, metric: str) -> Figure:
    """Each selector's gain over average rank on one metric, with the paired bootstrap interval.

    Args:
        summary: selector, metric, mean, delta, delta_low, delta_high.
        metric: which metric.
    """
    rows = summary.filter(pl.col("metric") == metric, pl.col("delta").is_not_null()).sort("delta")
    y = np.arange(rows.height)
    delta, low, high = (rows[n].to_numpy() for n in ("delta", "delta_low", "delta_high"))
    with canvas(PAGE_WIDTH, 0.9 + 0.26 * rows.height) as (figure, axes):
        axes.axvline(0, color=INK, linewidth=0.9)
        for i in y:
            sure = low[i] > 0 or high[i] < 0
            colour = SERIES[0] if sure else MUTED
            axes.plot([low[i], high[i]], [i, i], color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(delta[i], i, "o", color=colour, markersize=5)
        _rows(axes, [f"{s}  {m:.3f}" for s, m in rows.select("selector", "mean").iter_rows()])
        axes.set_xlabel(f"{metric} minus average-rank's; blue: the 95 % interval excludes zero")
    return figure


def ranking_dots(ranking: pl.DataFrame) -> Figure:
    """Models by predicted rank with the interval of the rank; rivals' and true ranks beside it.

    Args:
        ranking: rank, model, pretrained, and where known low, high (interval of the rank),
            average_rank and true_rank. At most the first 25 models are drawn.
    """
    top = ranking.sort("rank").head(_SHOWN_MODELS)
    y = np.arange(top.height)
    with canvas(PAGE_WIDTH, 1.1 + 0.24 * top.height) as (figure, axes):
        if {"low", "high"} <= set(top.columns):
            axes.hlines(
                y,
                top["low"].to_numpy(),
                top["high"].to_numpy(),
                color=SERIES[0],
                alpha=0.35,
                linewidth=5,
            )
        axes.plot(
            top["rank"].to_numpy(), y, "o", color=SERIES[0], markersize=6, label="this selector"
        )
        if "average_rank" in top.columns:
            axes.plot(
                top["average_rank"].to_numpy(),
                y,
                "D",
                color=SERIES[1],
                markersize=5,
                fillstyle="none",
                label="average rank",
            )
        if "true_rank" in top.columns:
            axes.plot(
                top["true_rank"].to_numpy(),
                y,
                "x",
                color=INK,
                markersize=6,
                markeredgewidth=1.4,
                label="true rank",
            )
        _rows(axes, [f"{m}  {p}" for m, p in top.select("model", "pretrained").iter_rows()])
        axes.invert_yaxis()
        axes.set_xticks(_rank_ticks(axes.get_xlim()[1]))
        axes.set_xlabel("rank (1 = best)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _rank_ticks(last: float) -> list[int]:
    """1, and round ranks up to the last: at most a dozen."""
    step = next(
        s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if last / s <= 12 or s == 1000
    )
    return sorted({1, *range(step, int(last) + 1, step)})


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.spines[["left"]].set_visible(False)
