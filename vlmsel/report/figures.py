"""The figures in one place: each takes frames, gives a matplotlib figure; then SVG or PNG."""

from vlmsel.report.curves import profile_curves, study_curves
from vlmsel.report.figure_style import to_png, to_svg
from vlmsel.report.heatmaps import dcd_heatmap, sweep_heatmap
from vlmsel.report.intervals import ranking_dots, selector_comparison
from vlmsel.report.layer_figures import interaction_heatmap, task_dendrogram

__all__ = [
    "dcd_heatmap",
    "interaction_heatmap",
    "profile_curves",
    "ranking_dots",
    "selector_comparison",
    "study_curves",
    "sweep_heatmap",
    "task_dendrogram",
    "to_png",
    "to_svg",
]
