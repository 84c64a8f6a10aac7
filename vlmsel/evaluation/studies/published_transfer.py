"""The study of published transferability scores: its page in words."""

from collections.abc import Mapping

import polars as pl

from vlmsel.evaluation.leave_one_out import BASELINE
from vlmsel.evaluation.transfer_metrics import TRANSFER_METRICS

SHOWN = "weighted_tau"
# A score known on fewer data sets is shown and takes no part in what follows.
LEAST_SETS = 5


def benchmark_page(
    summary: pl.DataFrame,
    printed: pl.DataFrame,
    left_out: pl.DataFrame,
    sizes: Mapping[str, tuple[int, int]],
    made: str,
) -> str:
    """Return the page of results in Markdown.

    Args:
        summary: of `summarise_benchmarks`.
        printed: pool, estimator, weighted_tau, source, as others printed them.
        left_out: pool, name, reason.
        sizes: models and data sets by pool.
        made: command, date and machine.
    """
    parts = [
        "# Published transferability scores beside average rank",
        f"Made by {made}. Every value is "
        "computed from published tables; no score was computed anew and no model was run.",
        "`average-rank` and `average-accuracy` know the pool's other data sets and nothing of the "
        "target (leave one out); `size` is the number of parameters. Scores are taken as printed, "
        "higher = better. In brackets: 95 % intervals over data sets (bootstrap).",
    ]
    for pool in summary["pool"].unique(maintain_order=True):
        rows = summary.filter(pool=pool)
        models, tasks = sizes[pool]
        parts += [
            f"## {pool}: {models} models, {tasks} data sets",
            _table(rows),
            _verdict(rows.filter(metric=SHOWN)),
            *_format_printed(printed.filter(pool=pool)),
        ]
    known = summary["pool"].unique().to_list()
    unknown = printed.filter(~pl.col("pool").is_in(known))
    for (pool,), rows in unknown.group_by("pool", maintain_order=True):
        parts += [f"## {pool}: as printed, nothing to compare with at hand", *_format_printed(rows)]
    parts += ["## What follows", _conclusion(summary), "## Left out", _format_left_out(left_out)]
    names = [f"- `{name}`: {metric.definition}" for name, metric in TRANSFER_METRICS.items()]
    return "\n\n".join([*parts, "## The metrics", "\n".join(names)]) + "\n"


def _table(rows: pl.DataFrame) -> str:
    order = rows.filter(metric=SHOWN).sort("mean", descending=True)["selector"]
    cells = {(row["selector"], row["metric"]): row for row in rows.iter_rows(named=True)}
    lines = [
        "| score | sets | weighted tau | minus average rank | "
        + " | ".join(name for name in TRANSFER_METRICS if name != SHOWN)
        + " |",
        "|---" * (len(TRANSFER_METRICS) + 3) + "|",
    ]
    for name in order:
        row = cells[name, SHOWN]
        mean_rank = f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        difference = "" if name == BASELINE else _difference(row)
        others = (f"{cells[name, m]['mean']:.3f}" for m in TRANSFER_METRICS if m != SHOWN)
        lines.append(
            f"| {name} | {row['n_targets']} | {mean_rank} | {difference} | {' | '.join(others)} |"
        )
    return "\n".join(lines)


def _difference(row: Mapping[str, float]) -> str:
    return f"{row['delta']:+.3f} [{row['delta_low']:+.3f}, {row['delta_high']:+.3f}]"


def _verdict(rows: pl.DataFrame) -> str:
    """Name the scores that are clearly above or below average rank."""
    enough = rows.filter(pl.col("n_targets") >= LEAST_SETS)
    above = enough.filter(pl.col("delta_low") > 0)["selector"].to_list()
    below = enough.filter(pl.col("delta_high") < 0)["selector"].to_list()
    sentences = [
        f"Clearly above average rank: {', '.join(above) or 'none'}",
        f"clearly below: {', '.join(below) or 'none'}",
    ]
    few = rows.filter(pl.col("n_targets") < LEAST_SETS)["selector"].to_list()
    if few:
        sentences.append(f"on fewer than {LEAST_SETS} data sets, so no evidence: {', '.join(few)}")
    return "; ".join(sentences) + "."


def _format_printed(rows: pl.DataFrame) -> list[str]:
    if rows.is_empty():
        return []
    lines = [f"| {e} | {tau:.3f} | {source} |" for _, e, tau, source in rows.iter_rows()]
    return [
        "\n".join(["| as printed elsewhere | weighted tau | source |", "|---|---|---|", *lines])
    ]


def _conclusion(summary: pl.DataFrame) -> str:
    """Count, over pools, how scores that look at the target fare."""
    rows = summary.filter(pl.col("metric") == SHOWN, pl.col("n_targets") >= LEAST_SETS)
    tables = (BASELINE, "average-accuracy", "size")
    looking = rows.filter(~pl.col("selector").is_in(tables))
    above = looking.filter(pl.col("delta_low") > 0)
    below = looking.filter(pl.col("delta_high") < 0)
    means = ", ".join(
        f"{pool} {mean:.3f}"
        for pool, mean in rows.filter(selector=BASELINE).select("pool", "mean").iter_rows()
    )
    best = f"Average rank reaches {means} without looking at the target. "
    count = (
        f"Of {looking.height} scores that look at it, {above.height} are clearly above average "
        f"rank and {below.height} clearly below. "
    )
    advice = (
        "On pools of one kind of models, where data sets agree on the order, no published score "
        "here is a reason to leave average rank; a score is worth its place only where a "
        "leave-one-out over one's own tasks says so."
        if above.is_empty()
        else f"Clearly above are {', '.join(above['selector'])}: prefer them in such pools."
    )
    return best + count + advice


def _format_left_out(left_out: pl.DataFrame) -> str:
    if left_out.is_empty():
        return "Nothing."
    return "\n".join(f"- {pool}: {name}: {why}" for pool, name, why in left_out.iter_rows())
