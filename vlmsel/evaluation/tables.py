"""Leave-one-out results as Markdown, for the documentation and the terminal."""

import polars as pl

from vlmsel.evaluation.metrics import METRICS


def summary_markdown(summary: pl.DataFrame) -> str:
    """Selectors x metrics, best `ndcg5` first: mean and, where it excludes zero, the difference.

    Args:
        summary: of `LeaveOneOut.summary`.

    Returns:
        A Markdown table. A cell is the mean; `+` or `-` marks an interval against the baseline
        that excludes zero, in the good or the bad direction.
    """
    order = summary.filter(metric="ndcg5").sort("mean", descending=True)["selector"]
    cells = {(row["selector"], row["metric"]): row for row in summary.iter_rows(named=True)}
    lines = [
        "| selector | tasks | " + " | ".join(METRICS) + " |",
        "|---" * (len(METRICS) + 2) + "|",
    ]
    for selector in order:
        rows = [cells[selector, metric] for metric in METRICS]
        values = " | ".join(_cell(row) for row in rows)
        lines.append(f"| {selector} | {rows[0]['n_targets']} | {values} |")
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
