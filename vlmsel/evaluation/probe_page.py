"""Scores x shots as people read them: tables, the mixture against its parts, what was left out."""

import os
import platform
from collections.abc import Sequence
from datetime import date

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.label_budgets import MARK, number_of_labels, without_labels
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut
from vlmsel.evaluation.metrics import METRICS
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.evaluation.probe_use import COMPONENTS, MIXTURE

SHOWN = ("tau", "ndcg5", "regret1")
MOST_REASONS = 12
LEGEND = {
    "truth": "for a probe, the accuracy of a linear probe of all labelled images (held-out folds); "
    "for zero-shot, that of the zero-shot classifier; of a draw, on the images not drawn",
    "average-rank, average-accuracy": "of the same truth on the other tasks; they see no target",
    "size": "parameters of the visual tower, the largest first",
    "zero-shot without labels": "for a probe: the zero-shot accuracy on all of the target",
    "few-shot-probe": "a probe of the drawn images, judged on the labels of all the others: what a "
    "user of so few labels cannot know, a bound",
    "mixture": "places by average rank, logme, probe and zero-shot likelihood, weights learnt in "
    "leave-one-task-out",
    "posterior": "held-out hits on the drawn images, joined with the truth on the other tasks",
}


def shot_table(summary: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Lay one metric out: a row per selector, a column per number of shots, with intervals.

    A star marks a clear difference to average rank; a number in brackets says on how many targets
    a selector was judged where not on all.
    """
    rows = summary.filter(metric=metric)
    most = max(rows["n_targets"], default=0)
    shots = sorted({number_of_labels(name) for name in rows["selector"]})
    cells: dict[str, dict[int, str]] = {}
    for row in rows.iter_rows(named=True):
        of_selector = cells.setdefault(without_labels(row["selector"]), {})
        of_selector[number_of_labels(row["selector"])] = _cell(row, most)
    heads = {n: "no labels" if n == 0 else f"{n} per class" for n in shots}
    return pl.DataFrame(
        [[name, *(found.get(n, "") for n in shots)] for name, found in cells.items()],
        schema=["selector", *heads.values()],
        orient="row",
    )


def compare_mixture(loo: LeaveOneOut, metric: str = "tau") -> pl.DataFrame:
    """The mixture against the best of its parts: shots, part, delta, delta_low, delta_high.

    The best part is that with the best mean, average rank among them; choosing it by this table
    favours it. Parts that could not rank every target of the mixture take no part.
    """
    names = set(loo.metrics["selector"])
    found = []
    for shots in sorted({number_of_labels(name) for name in names} - {0}):
        mixture = f"{MIXTURE}{MARK}{shots}"
        values = loo.metrics.filter(metric=metric)
        targets = values.filter(selector=mixture)["target"]
        candidates = [BASELINE, *(f"{name}{MARK}{shots}" for name in COMPONENTS)]
        parts = [
            name for name in candidates
            if set(targets) <= set(values.filter(selector=name)["target"])
        ]  # fmt: skip
        if mixture not in names or not parts:
            continue
        chosen = values.filter(pl.col("target").is_in(targets.to_list()))
        means = {name: chosen.filter(selector=name)["value"].mean() for name in parts}
        sign = 1 if METRICS[metric].higher_is_better else -1
        best = max(parts, key=lambda name: sign * float(str(means[name])))
        pair = chosen.filter(pl.col("selector").is_in([mixture, best]))
        row = paired_bootstrap(pair, baseline=best).row(
            by_predicate=pl.col("selector") == mixture, named=True
        )
        found.append((shots, best, row["delta"], row["delta_low"], row["delta_high"]))
    schema = {
        "shots": pl.Int64, "part": pl.String, "delta": pl.Float64, "delta_low": pl.Float64,
        "delta_high": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(found, schema=schema, orient="row")


def mixture_sentences(loo: LeaveOneOut) -> list[str]:
    """Describe what mixing gains or loses against the best part, a line per number of shots."""
    lines = []
    for row in compare_mixture(loo).iter_rows(named=True):
        low, high = row["delta_low"], row["delta_high"]
        verdict = "clearly better" if low > 0 else "clearly worse" if high < 0 else "neither"
        words = "neither clearly better nor worse" if verdict == "neither" else verdict
        lines.append(
            f"{row['shots']} per class: the mixture is {words} than its best part, {row['part']}: "
            f"tau {row['delta']:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"
        )
    return lines


def use_page(sections: Sequence[tuple[str, LeaveOneOut]], command: str) -> str:
    """Return a page of results in Markdown.

    Args:
        sections: what is asked, and its leave-one-out.
        command: what printed the page.

    Raises:
        SelectionError: there is nothing to show.
    """
    if not sections:
        raise SelectionError("there is no result to write a page of")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    parts = [
        "# Which model for a probe? Scores of a few labels against probes of all",
        f"Written by `{command}` on {date.today().isoformat()}, {machine}.",
        "Every task is the target once. A cell is the mean over targets with its 95 % interval "
        "(paired bootstrap over tasks); a star marks a clear difference to average rank; a number "
        "in brackets says on how many targets a selector was judged, where not on all.",
        "\n".join(f"- {name}: {meaning}" for name, meaning in LEGEND.items()),
    ]
    for title, loo in sections:
        summary = loo.summary()
        parts.append(f"## {title}")
        for metric in SHOWN:
            parts += [f"`{metric}`: {METRICS[metric].definition}", _markdown(summary, metric)]
        parts.append("\n".join(f"- {line}" for line in mixture_sentences(loo)))
        parts += ["Left out:", _count_reasons(loo.left_out)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown(summary: pl.DataFrame, metric: str) -> str:
    table = shot_table(summary, metric)
    lines = ["| " + " | ".join(table.columns) + " |", "|---" * table.width + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table.iter_rows()]
    return "\n".join(lines)


def _cell(row: dict, most: int) -> str:
    clear = row["delta_low"] is not None and (row["delta_low"] > 0 or row["delta_high"] < 0)
    part = "" if row["n_targets"] == most else f" ({row['n_targets']})"
    values = [f"{row[name]:.3f}".replace("0.", ".", 1) for name in ("mean", "low", "high")]
    return f"{values[0]} [{values[1]} {values[2]}]{'*' if clear else ''}{part}"


def _count_reasons(left_out: pl.DataFrame) -> str:
    """Count reasons, which differ by target in their numbers alone."""
    if left_out.is_empty():
        return "Nothing."
    kinds = left_out.with_columns(
        why=pl.col("reason").str.replace(r"^on [^:]+: ", "").str.replace_all(r"\d+(\.\d+)?", "N")
    )
    counted = kinds.group_by("name", "why", maintain_order=True).agg(
        n=pl.len(), example=pl.col("reason").first()
    )
    lines = [
        f"- {name}, {n} times, such as {example}"
        for name, _, n, example in counted.head(MOST_REASONS).iter_rows()
    ]
    more = counted.height - MOST_REASONS
    return "\n".join([*lines, *([f"- and {more} more kinds"] if more > 0 else [])])
