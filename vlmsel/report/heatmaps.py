"""Matrices as pictures: divergence between tasks, and a metric over eta x gamma."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from vlmsel.report.figure_style import PAGE_WIDTH, SEQUENTIAL, canvas

_WRITTEN_CELLS = 14  # more rows or columns than this and numbers in cells cannot be read
_NAMED_ROWS = 60
_WIDE_RANGE = 30.0  # a ratio above which a linear colour scale shows two colours only


def dcd_heatmap(
    dcd: pl.DataFrame, *, model: str | None = None, pretrained: str | None = None
) -> Figure:
    """DCD(source -> target): rows are targets, columns sources, similar tasks side by side.

    Args:
        dcd: model, pretrained, source, target, dcd.
        model: only this model's matrix; the mean over all models without it.
        pretrained: with `model`, only this checkpoint's.
    """
    wanted = dcd
    if model is not None:
        wanted = wanted.filter(pl.col("model") == model)
    if pretrained is not None:
        wanted = wanted.filter(pl.col("pretrained") == pretrained)
    mean = wanted.group_by("target", "source").agg(pl.col("dcd").mean())
    targets = _order_by_likeness(mean)
    sources = [s for s in targets if s in set(mean["source"])]
    sources += sorted(set(mean["source"]) - set(targets))
    values = _matrix(mean, ("target", targets), ("source", sources), "dcd")
    with canvas(PAGE_WIDTH, _height(len(targets))) as (figure, axes):
        _draw(figure, axes, values, label="DCD (0 = same profile)")
        _name(axes, [str(s) for s in sources], [str(t) for t in targets])
        axes.set_xlabel("source task")
        axes.set_ylabel("target task")
    return figure


def sweep_heatmap(sweep: pl.DataFrame, metric: str) -> Figure:
    """One metric, mean over targets, on the eta x gamma grid.

    Args:
        sweep: eta, gamma, metric, value, and target where not yet averaged.
        metric: which metric to show.
    """
    points = sweep.filter(pl.col("metric") == metric)
    mean = points.group_by("eta", "gamma").agg(pl.col("value").mean())
    etas, gammas = (sorted(mean[name].unique()) for name in ("eta", "gamma"))
    values = _matrix(mean, ("gamma", gammas), ("eta", etas), "value")
    with canvas(PAGE_WIDTH, _height(len(gammas), floor=2.6)) as (figure, axes):
        _draw(figure, axes, values[::-1], label=f"{metric}, mean over targets", logarithmic=False)
        _name(axes, [f"{eta:.3g}" for eta in etas], [f"{gamma:.3g}" for gamma in gammas[::-1]])
        axes.set_xlabel("eta (how sharply the target's own blocks count)")
        axes.set_ylabel("gamma (how sharply near sources count)")
    return figure


def _height(rows: int, floor: float = 3.0) -> float:
    return float(np.clip(1.2 + 0.24 * rows, floor, 11.0))


def _matrix(
    frame: pl.DataFrame, rows: tuple[str, list], columns: tuple[str, list], value: str
) -> np.ndarray:
    at_row = {name: i for i, name in enumerate(rows[1])}
    at_column = {name: i for i, name in enumerate(columns[1])}
    values = np.full((len(at_row), len(at_column)), np.nan)
    for row, column, number in frame.select(rows[0], columns[0], value).iter_rows():
        values[at_row[row], at_column[column]] = np.nan if number is None else number
    return values


def _order_by_likeness(mean: pl.DataFrame) -> list[str]:
    """Targets in an order that puts twins side by side; by name where the matrix has holes."""
    names = sorted(mean["target"].unique())
    square = _matrix(
        mean.filter(pl.col("source").is_in(names)), ("target", names), ("source", names), "dcd"
    )
    np.fill_diagonal(square, 0.0)
    if len(names) < 3 or not np.isfinite(square).all():
        return names
    # Imported here: it takes a second, and few figures need it.
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform((square + square.T) / 2), "average", optimal_ordering=True)
    return [names[i] for i in leaves_list(tree)]


def _norm(values: np.ndarray, logarithmic: bool) -> Normalize:
    known = values[np.isfinite(values)]
    positive = known[known > 0]
    if known.size == 0:
        return Normalize(0.0, 1.0)
    if logarithmic and positive.size == known.size and known.max() / known.min() > _WIDE_RANGE:
        return LogNorm(float(known.min()), float(known.max()))
    return Normalize(float(known.min()), float(known.max()))


def _draw(
    figure: Figure, axes: Axes, values: np.ndarray, *, label: str, logarithmic: bool = True
) -> None:
    norm = _norm(values, logarithmic)
    # Thousands of vector cells would make the page heavy: those are drawn as one picture.
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=SEQUENTIAL, norm=norm, rasterized=values.size > 1600
    )
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axes, label=label, shrink=0.9, pad=0.02)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    if max(values.shape) <= _WRITTEN_CELLS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                shade = "#ffffff" if norm(value) < 0.55 else "#000000"
                text = f"{value:.2f}" if value < 100 else f"{value:.0f}"
                axes.text(
                    column + 0.5, row + 0.5, text, ha="center", va="center", color=shade, size=7
                )


def _name(axes: Axes, columns: list[str], rows: list[str]) -> None:
    step_x, step_y = (max(1, -(-len(names) // _NAMED_ROWS)) for names in (columns, rows))
    turned = max((len(c) for c in columns), default=0) * len(columns) > 70
    axes.set_xticks(
        np.arange(0, len(columns), step_x) + 0.5,
        columns[::step_x],
        rotation=55 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(np.arange(0, len(rows), step_y) + 0.5, rows[::step_y])
