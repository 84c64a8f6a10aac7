"""Selectors of a table grouped by what they ask of a new task."""

import polars as pl

from vlmsel.evaluation.label_budgets import without_labels
from vlmsel.evaluation.metrics import METRICS
from vlmsel.selection.needs import GROUPS, input_group
from vlmsel.selection.registry import selector_classes

GROUP_WORDS = {
    "nothing": "nothing of the task (tables of other tasks)",
    "text": "class names, no image",
    "images": "unlabelled images",
    "names": "unlabelled images and class names",
    "labels": "labels of some images",
    "truth": "the truth (bounds)",
}


def group_of(selector: str) -> str:
    """Name the group of a selector in a table, ``posterior@25`` among them; "" if it is unknown."""
    found = selector_classes().get(without_labels(selector))
    return "" if found is None else input_group(found.needs)


def group_place(selector: str) -> int:
    """Place of the group; unknown selectors come last."""
    group = group_of(selector)
    return [*GROUPS, ""].index(group)


def group_by_needs(summary: pl.DataFrame) -> pl.DataFrame:
    """The summary with a column `needs`, group after group.

    Args:
        summary: of `LeaveOneOut.summary`.
    """
    names = summary["selector"].unique().to_list()
    groups = {name: group_of(name) for name in names}
    places = {name: group_place(name) for name in names}
    chosen = pl.col("selector")
    return (
        summary.with_columns(needs=chosen.replace_strict(groups, return_dtype=pl.String))
        .sort(chosen.replace_strict(places, return_dtype=pl.Int64), maintain_order=True)
        .select("selector", "needs", pl.exclude("selector", "needs"))
    )


def describe_winners(summary: pl.DataFrame, metrics: tuple[str, ...] = ("ndcg5", "tau")) -> str:
    """Say which selector has the best mean in each group, and whether it beats average rank.

    Args:
        summary: of `LeaveOneOut.summary`.
        metrics: judged one after the other.
    """
    lines = []
    for (group,), rows in group_by_needs(summary).group_by("needs", maintain_order=True):
        if group not in GROUP_WORDS:
            continue
        parts = [_best(rows.filter(metric=metric), metric) for metric in metrics]
        lines.append(f"- {GROUP_WORDS[str(group)]}: {'; '.join(parts)}.")
    return "\n".join(lines)


def _best(rows: pl.DataFrame, metric: str) -> str:
    is_high = METRICS[metric].higher_is_better
    best = rows.sort("mean", "selector", descending=[is_high, False]).row(0, named=True)
    if best["delta"] is None or best["delta"] == 0:
        return f"best {metric} {best['selector']} with {best['mean']:.3f}"
    low, high = best["delta_low"], best["delta_high"]
    better = low > 0 if is_high else high < 0
    worse = high < 0 if is_high else low > 0
    words = "clearly better than" if better else "clearly worse than" if worse else "open against"
    return (
        f"best {metric} {best['selector']} with {best['mean']:.3f}, {words} average rank "
        f"({best['delta']:+.3f}, {low:+.3f} to {high:+.3f})"
    )
