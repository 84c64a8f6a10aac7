"""The results of the study of picking orders as one Markdown page."""

import polars as pl

from vlmsel.evaluation.metrics import METRICS
from vlmsel.selection.orders.picking_orders import ORDERS

SHOWN = ("regret1", "tau", "ndcg5")


def orders_page(made: str, rows: pl.DataFrame, left_out: pl.DataFrame) -> str:
    """Write the page.

    Args:
        made: command, date and machine.
        rows: of `judge_orders`.
        left_out: kind, name, reason.
    """
    parts = [
        "# Which image to label next",
        f"Made by {made}.",
        "Images are picked one by one, their true classes shown, and the models ranked by the "
        "labels so far; the answers are those that the models gave, nothing is simulated. `plain "
        "hits` ranks by "
        "the hit rate on the images that the order picked. Ties are broken at random. In brackets: "
        "difference to random picking with its 95 % interval (10,000 paired resamples of the "
        "tasks; of drawn pools of images where a table has one task). `+` or `-`: the interval "
        "excludes zero, in the good or the bad direction.",
        "**Picked labels are no random sample.** "
        + " ".join(f"`{name}`: {order.about}." for name, order in ORDERS.items())
        + " Only under `random` are hit rates unbiased, so that posteriors, intervals and expected "
        "regrets hold.",
        describe_orders(rows),
    ]
    for (table,), part in rows.group_by("table", maintain_order=True):
        n_tasks, n_models, n_images = part.select("n_tasks", "n_models", "n_images").row(0)
        tasks = f"{n_tasks} tasks" if n_tasks > 1 else "1 task"
        parts.append(f"## {table}: {tasks}, {n_models} models, {n_images} images to pick from")
        parts.append(_table(part))
    if left_out.height:
        lines = [f"- {row[0]} {row[1]}: {row[2]}" for row in left_out.rows()]
        parts.append("\n".join(["Left out:", "", *lines]))
    return "\n\n".join(parts) + "\n"


def describe_orders(rows: pl.DataFrame) -> str:
    """Say who wins on each table at the smallest and the largest number of labels."""
    lines = []
    for (table,), part in rows.group_by("table", maintain_order=True):
        numbers = sorted(part["n_labels"].unique())
        for n in dict.fromkeys((numbers[0], numbers[-1])):
            told = [
                _winner(part.filter(n_labels=n, metric=metric)) for metric in ("regret1", "tau")
            ]
            lines.append(f"- {table}, {n} labels: {'; '.join(told)}.")
    return "\n".join(lines)


def _winner(rows: pl.DataFrame) -> str:
    metric = rows["metric"][0]
    is_high = METRICS[metric].higher_is_better
    best = rows.sort("mean", "selector", descending=[is_high, False]).row(0, named=True)
    if best["selector"] == "random":
        return f"{metric}: random is best with {best['mean']:.3f}"
    mark = _mark(best)
    words = "clearly" if mark == " +" else "not clearly"
    return f"{metric}: {best['selector']} is best with {best['mean']:.3f}, {words} before random"


def _table(rows: pl.DataFrame) -> str:
    lines = [
        "| picked by, ranked by | labels | " + " | ".join(SHOWN) + " |",
        "|---" * (len(SHOWN) + 2) + "|",
    ]
    cells = {
        (row["n_labels"], row["selector"], row["metric"]): _cell(row)
        for row in rows.iter_rows(named=True)
    }
    for n, selector in dict.fromkeys(key[:2] for key in cells):
        values = " | ".join(cells[n, selector, metric] for metric in SHOWN)
        lines.append(f"| {selector} | {n} | {values} |")
    return "\n".join(lines)


def _cell(row: dict) -> str:
    if row["selector"] == "random":
        return f"{row['mean']:.3f}"
    interval = f"{row['delta']:+.3f}, {row['delta_low']:+.3f} to {row['delta_high']:+.3f}"
    return f"{row['mean']:.3f} ({interval}){_mark(row)}"


def _mark(row: dict) -> str:
    low, high = row["delta_low"], row["delta_high"]
    if low is None or low <= 0 <= high:
        return ""
    return " +" if (low > 0) == METRICS[row["metric"]].higher_is_better else " -"
