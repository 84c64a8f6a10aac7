"""The results of the study of labels as one Markdown page, with the command, machine and date."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from vlmsel.evaluation.metrics import METRICS

SHOWN = ("ndcg5", "tau", "regret1")


@dataclass(frozen=True)
class PageHead:
    """Making of the page: command, date, machine and settings.

    Attributes:
        made: command, date and machine.
        rho: correlation of the simulated hits.
        n_draws: draws of labelled images per task.
    """

    made: str
    rho: float
    n_draws: int


def labels_page(
    head: PageHead,
    rows: pl.DataFrame,
    calibration: pl.DataFrame | None = None,
    stopping: pl.DataFrame | None = None,
    savings: pl.DataFrame | None = None,
) -> str:
    """Write the page.

    Args:
        head: how it was made.
        rows: of `labels_rows`, one table or several.
        calibration: with a column table.
        stopping: with a column table.
        savings: of `saving_of_predictions`.
    """
    parts = [
        "# What a few labels gain",
        f"Made by {head.made}.",
        "**Simulated**: the hits of the models on labelled images are drawn from the published "
        "accuracies. The count of each model is exactly binomial; how the hits of different models "
        f"go together is assumed (rho = {head.rho:g}). So this is evidence about the method, not "
        f"yet about photographs. Means over {head.n_draws} draws per task, then over the tasks; "
        "differences with their 95 % interval (10,000 paired resamples of the tasks). "
        "`+` or `-`: the interval excludes zero, in the good or the bad direction.",
        "`posterior` joins the labels with the tables of the other tasks, `labels-alone` ranks by "
        "the hit rate (ties broken at random). With 0 labels `posterior` is average rank.",
    ]
    for (table,), part in rows.group_by("table", maintain_order=True):
        sizes = f"{part['n_targets'].max()} tasks x {part['n_models'][0]} models"
        parts.append(f"## {table}: {sizes} (simulated labels)")
        for (rival,), against in part.group_by("rival", maintain_order=True):
            parts += [f"Against {rival}:", gains_markdown(against)]
    if calibration is not None and stopping is not None:
        parts += [
            "## Does the advice hold? (simulated labels)",
            "`regret` is the loss of accuracy of the first choice: expected by the posterior, and "
            "realised. `ranks held`: share of the true ranks in their 95 % interval; `accuracies "
            "held`: in the 90 % interval. Widths are shares of the zoo. `n cases`: tasks x draws.",
            plain_markdown(calibration),
            "Labelling stops when the expected regret is below the tolerance, at 5, 10, 15, 20, "
            "30, 40, 50, 75, 100, 150 or 200 labels:",
            plain_markdown(stopping),
        ]
    if savings is not None:
        parts += [
            "## What predictions on unlabelled images save (imported predictions, real labels)",
            "Variance of the contrasts between models with prediction-powered hits over that with "
            "plain hits, realised and as the estimate itself stated; below 1 is better. `vote_tau`:"
            " how well the vote of the others alone ranks the models.",
            plain_markdown(savings),
        ]
    return "\n\n".join(parts) + "\n"


def gains_markdown(rows: pl.DataFrame, metrics: Sequence[str] = SHOWN) -> str:
    """Rows of one table against one rival: a line per selector and number of labels."""
    chosen = rows.filter(pl.col("metric").is_in(list(metrics)))
    lines = [
        "| selector | labels | " + " | ".join(metrics) + " |",
        "|---" * (len(metrics) + 2) + "|",
    ]
    keys = ["selector", "n_labels"]
    for (selector, n), part in chosen.group_by(keys, maintain_order=True):
        cells = {row["metric"]: _cell(row) for row in part.iter_rows(named=True)}
        lines.append(f"| {selector} | {n} | " + " | ".join(cells[m] for m in metrics) + " |")
    return "\n".join(lines)


def plain_markdown(table: pl.DataFrame) -> str:
    """Any table, fractions with three decimals."""
    names = [name.replace("_", " ") for name in table.columns]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for row in table.iter_rows():
        cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, float]) -> str:
    """Mean, difference, interval and mark."""
    if row["selector"] == row["rival"]:
        return f"{row['mean']:.3f}"
    low, high = row["delta_low"], row["delta_high"]
    mark = ""
    if not low <= 0 <= high:
        good = (low > 0) == METRICS[str(row["metric"])].higher_is_better
        mark = " +" if good else " -"
    return f"{row['mean']:.3f}, {row['delta']:+.3f} ({low:+.3f} to {high:+.3f}){mark}"
