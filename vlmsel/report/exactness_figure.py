"""Figure of attribution errors against what they cost, by setting."""

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from vlmsel.report.figure_style import INK, MUTED, canvas, line_styles

SHOWN = {
    "captum/uniform": "captum's left sum",
    "left/uniform": "left sum",
    "midpoint/uniform": "midpoint",
    "trapezoid/uniform": "trapezoid",
    "trapezoid/graded": "trapezoid, graded",
    "midpoint/adaptive": "midpoint, adaptive",
    "trapezoid/adaptive": "trapezoid, adaptive",
    "refined/adaptive": "refined, adaptive",  # the last one, drawn as points
}
COST_TICKS = (3, 5, 10, 20, 50, 100)
ERROR_TICKS = (0.1, 1, 10)


def errors_figure(settings: pl.DataFrame, default: str, limit: float) -> Figure:
    """Error against cost, one column per group; mean over images above, worst image below.

    Args:
        settings: group, kind, setting, cost, mean, worst (fractions).
        default: the setting to mark.
        limit: of the error, drawn as a line.
    """
    errors = settings.filter(kind="steps")
    groups = errors["group"].unique(maintain_order=True).to_list()
    with canvas(1.2 + 3.7 * len(groups), 6.4) as (figure, blank):
        blank.remove()
        axes = figure.subplots(2, len(groups), squeeze=False, sharex=True, sharey=True)
        for column, name in enumerate(groups):
            part = errors.filter(group=name)
            for axis, value in zip(axes[:, column], ("mean", "worst"), strict=True):
                _draw_lines(axis, part, value, default)
                axis.axhline(100 * limit, color=MUTED, linewidth=0.8, linestyle="--")
            axes[0, column].set_title(name)
            axes[1, column].set_xlabel("gradient evaluations per image (a forward alone: 1/2)")
        for axis, of in zip(axes[:, 0], ("mean over images", "worst image"), strict=True):
            axis.set_ylabel(f"{of}, %")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.suptitle("L1 error of the normalised profile", fontsize=10)
        figure.set_facecolor("white")  # the file stands alone, on pages of any colour
    return figure


def _draw_lines(axis: Axes, errors: pl.DataFrame, value: str, default: str) -> None:
    fixed, refined = list(SHOWN.items())[:-1], list(SHOWN.items())[-1]
    for (prefix, label), (colour, dash) in zip(fixed, line_styles(), strict=False):
        line = _points(errors, prefix)
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": "o", "markersize": 3}
        axis.plot(line["cost"], 100 * line[value], label=label, **look)
    # What refining costs depends on the image: its settings are no curve.
    dots, marked = _points(errors, refined[0]), errors.filter(setting=default)
    style: dict[str, Any] = {"color": INK, "linestyle": ""}
    axis.plot(dots["cost"], 100 * dots[value], marker="D", markersize=4, label=refined[1], **style)
    ring: dict[str, Any] = {"marker": "o", "markersize": 11, "fillstyle": "none"}
    axis.plot(marked["cost"], 100 * marked[value], label="the default", **ring, **style)
    axis.set(xscale="log", yscale="log")
    for side, ticks in ((axis.xaxis, COST_TICKS), (axis.yaxis, ERROR_TICKS)):
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_formatter(NullFormatter())
        side.set_ticks(ticks)


def _points(errors: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return errors.filter(pl.col("setting").str.starts_with(prefix + "/")).sort("cost")
