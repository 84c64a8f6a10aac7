"""The figures in one place: each takes frames, gives a matplotlib figure; then SVG or PNG."""

from vlmsel.report.canvas import to_png, to_svg
from vlmsel.report.curves import profile_curves, study_curves
from vlmsel.report.heatmaps import dcd_heatmap, sweep_heatmap
from vlmsel.report.intervals import ranking_dots, selector_comparison

__all__ = [
    "dcd_heatmap",
    "profile_curves",
    "ranking_dots",
    "selector_comparison",
    "study_curves",
    "sweep_heatmap",
    "to_png",
    "to_svg",
]
