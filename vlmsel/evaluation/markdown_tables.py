"""Leave-one-out results as Markdown, for the documentation and the terminal."""

from collections.abc import Mapping

import polars as pl

from vlmsel.evaluation.input_groups import group_of, group_place
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.metrics import METRICS

SHOWN_DELTAS = ("ndcg5", "recall5", "tau", "regret1")


def evidence_markdown(
    evidence: Mapping[str, LeaveOneOut], *, seed: int = 0, is_grouped: bool = False
) -> str:
    """The tables of docs/results/evaluation.md: means and differences for every table of evidence.

    Args:
        evidence: leave-one-outs by title.
        seed: of the bootstraps.
        is_grouped: group the selectors by what they ask of a task.
    """
    parts = []
    for title, result in evidence.items():
        summary = result.summary(seed=seed)
        parts += [
            f"### {title}",
            f"{sizes(result)}.",
            summary_markdown(summary, is_grouped=is_grouped),
            "Difference to average rank (95 % interval over targets):",
            delta_markdown(summary.filter(pl.col("selector") != "average-rank"), SHOWN_DELTAS),
        ]
    return "\n\n".join(parts)


def sizes(result: LeaveOneOut) -> str:
    """Say in words how many tasks, models and sources a leave-one-out has."""
    zoo = result.metrics.select("target", "n_models", "n_sources").unique()
    models, sources = (_range(zoo[name]) for name in ("n_models", "n_sources"))
    return f"{zoo['target'].n_unique()} targets, {models} models, {sources} sources each"


def summary_markdown(summary: pl.DataFrame, *, is_grouped: bool = False) -> str:
    """Selectors x metrics, best `ndcg5` first: mean and, where it excludes zero, the difference.

    Args:
        summary: of `LeaveOneOut.summary`.
        is_grouped: group after group, with a column of what the selectors ask of a task.

    Returns:
        A Markdown table. A cell is the mean; `+` or `-` marks an interval against the baseline
        that excludes zero, in the good or the bad direction.
    """
    order = summary.filter(metric="ndcg5").sort("mean", descending=True)["selector"]
    cells = {(row["selector"], row["metric"]): row for row in summary.iter_rows(named=True)}
    heads = ["selector", *(["needs"] if is_grouped else []), "tasks", *METRICS]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for selector in sorted(order, key=group_place) if is_grouped else order:
        rows = [cells[selector, metric] for metric in METRICS]
        values = " | ".join(_cell(row) for row in rows)
        needs = f" {group_of(selector)} |" if is_grouped else ""
        lines.append(f"| {selector} |{needs} {rows[0]['n_targets']} | {values} |")
    return "\n".join(lines)


def delta_markdown(summary: pl.DataFrame, metrics: tuple[str, ...]) -> str:
    """Differences to the baseline with their 95 % intervals.

    Args:
        summary: of `LeaveOneOut.summary`; rows without a difference are left out.
        metrics: the columns.
    """
    known = summary.filter(pl.col("delta").is_not_null())
    cells = {(row["selector"], row["metric"]): row for row in known.iter_rows(named=True)}
    lines = ["| selector | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for selector in known["selector"].unique(maintain_order=True):
        values = " | ".join(_delta(cells[selector, metric]) for metric in metrics)
        lines.append(f"| {selector} | {values} |")
    return "\n".join(lines)


def _cell(row: dict[str, float]) -> str:
    return f"{row['mean']:.3f}{_mark(row)}"


def _mark(row: dict[str, float]) -> str:
    low, high = row["delta_low"], row["delta_high"]
    if low is None or low <= 0 <= high:
        return ""
    good = (low > 0) == METRICS[str(row["metric"])].higher_is_better
    return " +" if good else " -"


def _delta(row: dict[str, float]) -> str:
    return f"{row['delta']:+.3f} ({row['delta_low']:+.3f} to {row['delta_high']:+.3f})"


def _range(values: pl.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low}" if low == high else f"{low} to {high}"
