"""Results of the study of objectives as one Markdown page; its words follow the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from vlmsel.evaluation.metrics import METRICS

SHOWN = ("ndcg5", "tau", "regret1")
SELECTOR = "dcd-pooled"
HEADINGS = {
    "objectives by conductance": "Objectives and towers, by conductance",
    "objectives by gradient": "Objectives and towers, by gradient",
    "objectives by gradient_x_activation": "Objectives and towers, by gradient x activation",
    "attributions": "Attributions and blocks",
    "blocks": "Blocks",
    "images": "More images",
    "symmetry": "Asymmetric against symmetric",
    "noise": "Noisy sources, noisy targets",
    "one family for the others": "Across architectures: one family ranks all models but its own",
    "the other families for one": "Across architectures: all other families rank each model",
}


@dataclass(frozen=True)
class ObjectivesHead:
    """Command, date and machine of the page.

    Attributes:
        made: command, date and machine.
        about: one line per zoo.
        left_out: one line per thing that could not be had.
    """

    made: str
    about: Sequence[str]
    left_out: Sequence[str] = ()


def objectives_page(head: ObjectivesHead, rows: pl.DataFrame) -> str:
    """Write the page.

    Args:
        head: how it was made.
        rows: of the study, see `vlmsel.api.objective_study.ObjectiveStudy`.
    """
    parts = [
        "# Objectives, symmetry, noise and architectures side by side",
        f"Made by {head.made}; nothing here is a time.",
        "\n".join(f"- {line}" for line in head.about),
        "Leave-one-out over the tasks. In brackets, with 95 % intervals of paired resamples of the "
        "tasks: the gain over average rank, then the change against the first row of the same "
        "selector. `+` or `-`: the interval excludes zero, in the good or the bad direction. Many "
        "intervals are looked at here, and about one in twenty excludes zero by chance alone.",
    ]
    for (zoo,), of_zoo in rows.group_by("zoo", maintain_order=True):
        parts += [f"## {zoo}", verdict(of_zoo, str(zoo))]
        for (group,), part in of_zoo.group_by("group", maintain_order=True):
            parts += [f"### {HEADINGS.get(str(group), str(group))}", rows_markdown(part)]
    if head.left_out:
        parts += ["## Left out", "\n".join(f"- {line}" for line in head.left_out)]
    return "\n\n".join(parts) + "\n"


def verdict(rows: pl.DataFrame, zoo: str) -> str:
    """Say in one paragraph what helps, what harms and what makes no clear difference."""
    rows = rows.filter(pl.col("metric").is_in(["ndcg5", "tau"]) & pl.col("change").is_not_null())
    rows = rows.filter(pl.col("variant") != "average-rank")
    found: dict[str, list[str]] = {"better": [], "worse": [], "mixed": [], "equal": []}
    groups = rows.group_by("group", "selector", "variant", maintain_order=True)
    for (group, selector, variant), part in groups:
        of_selectors = selector not in ("distance", "approach")
        is_reference = all(value == 0 for value in part["change"])
        if is_reference or (of_selectors and selector != SELECTOR):
            continue
        marks = frozenset(mark(row, "change") for row in part.iter_rows(named=True)) - {""}
        kinds = {frozenset("+"): "better", frozenset("-"): "worse", frozenset[str](): "equal"}
        where = HEADINGS.get(str(group), str(group)).split(": ")[-1]
        name = f"{variant} ({where})" if "famil" in str(group) else str(variant)
        found[kinds.get(marks, "mixed")].append(name)
    words = {
        "better": "Better than its reference in NDCG@5 or tau",
        "worse": "Worse",
        "mixed": "Better in one and worse in the other",
        "equal": "No difference that these tasks can show",
    }
    sentences = [f"{words[kind]}: {', '.join(names)}." for kind, names in found.items() if names]
    title = f"**What helps and what does not ({zoo}; of the selectors, `{SELECTOR}`).** "
    return title + (" ".join(sentences) or "Nothing could be compared.")


def rows_markdown(rows: pl.DataFrame, metrics: Sequence[str] = SHOWN) -> str:
    """One line per selector and variant: mean, gain and change of each metric."""
    several = rows["selector"].n_unique() > 1
    lines = [
        "| " + ("selector | " if several else "") + "variant | " + " | ".join(metrics) + " |",
        "|---" * (len(metrics) + 1 + several) + "|",
    ]
    for (selector, variant), part in rows.group_by("selector", "variant", maintain_order=True):
        cells = {row["metric"]: _cell(row) for row in part.iter_rows(named=True)}
        first = f"| {selector} " if several else ""
        lines.append(
            f"{first}| {variant} | " + " | ".join(cells.get(m, "") for m in metrics) + " |"
        )
    return "\n".join(lines)


def mark(row: dict[str, object], what: str) -> str:
    """`+` or `-` where the interval of a difference excludes zero, in the good or bad direction."""
    low, high = row[f"{what}_low"], row[f"{what}_high"]
    if not isinstance(low, float) or not isinstance(high, float) or low <= 0 <= high:
        return ""
    return "+" if (low > 0) == METRICS[str(row["metric"])].higher_is_better else "-"


def _cell(row: dict[str, object]) -> str:
    parts = [_difference(row, "gain"), _difference(row, "change")]
    shown = "; ".join(part for part in parts if part)
    return f"{row['mean']:.3f}" + (f" ({shown})" if shown else "")


def _difference(row: dict[str, object], what: str) -> str:
    """A difference with its interval; nothing for a row against itself."""
    value, low, high = (row[f"{what}{end}"] for end in ("", "_low", "_high"))
    if value is None or (value == 0 and low == 0 and high == 0):
        return ""
    return f"{value:+.3f} [{low:+.3f} {high:+.3f}]{mark(row, what)}"
