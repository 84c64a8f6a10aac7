"""Pictures of silenced layers: tasks by layers, and a tree of tasks that are hurt alike."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from vlmsel.report.figure_style import PAGE_WIDTH, SERIES, canvas

# Blue where silencing a layer helps, red where it hurts, white where nothing changes.
DIVERGING = "RdBu"
_WRITTEN_CELLS = 14


def interaction_heatmap(vectors: np.ndarray, tasks: Sequence[str], layers: Sequence[str]) -> Figure:
    """Change of accuracy in points: rows are tasks, columns silenced layers.

    Args:
        vectors: (tasks, layers), fractions; NaN where a layer is not measured.
        tasks: names of the rows.
        layers: names of the columns.
    """
    points = 100 * vectors
    known = np.abs(points[np.isfinite(points)])
    limit = max(1.0, float(known.max()) if known.size else 1.0)
    with canvas(PAGE_WIDTH, float(np.clip(1.4 + 0.24 * len(tasks), 2.4, 12.0))) as (figure, axes):
        norm = TwoSlopeNorm(0.0, -limit, limit)
        mesh = axes.pcolormesh(np.ma.masked_invalid(points), cmap=DIVERGING, norm=norm)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        label = "points of accuracy\n(blue: better without the layer)"
        bar = figure.colorbar(mesh, ax=axes, label=label, shrink=0.9, pad=0.02)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        axes.set_xticks(np.arange(len(layers)) + 0.5, layers, rotation=45, ha="right")
        axes.set_yticks(np.arange(len(tasks)) + 0.5, tasks)
        axes.set_xlabel("silenced layer")
        if len(layers) <= _WRITTEN_CELLS:
            for (row, column), value in np.ndenumerate(points):
                if np.isfinite(value):
                    shade = "#ffffff" if abs(value) > 0.6 * limit else "#000000"
                    axes.text(
                        column + 0.5, row + 0.5, f"{value:+.0f}", ha="center", va="center",
                        color=shade, size=7,
                    )  # fmt: skip
    return figure


def task_dendrogram(tree: np.ndarray, tasks: Sequence[str]) -> Figure:
    """Tasks joined by 1 - r of their centred vectors, the most alike first.

    Args:
        tree: of `vlmsel.selection.layers.likeness.cluster_tasks`.
        tasks: names of the leaves.
    """
    # Imported here: it takes a second, and few figures need it.
    from scipy.cluster.hierarchy import dendrogram

    with canvas(PAGE_WIDTH, float(np.clip(1.0 + 0.22 * len(tasks), 2.4, 12.0))) as (figure, axes):
        dendrogram(
            tree,
            labels=list(tasks),
            orientation="right",
            ax=axes,
            color_threshold=0.0,
            above_threshold_color=SERIES[0],
        )
        axes.grid(visible=False)
        axes.set_xlabel("1 - r of centred interaction vectors (average linkage)")
    return figure
