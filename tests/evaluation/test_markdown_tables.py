"""Markdown tables of a summary."""

import polars as pl

from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.markdown_tables import delta_markdown, evidence_markdown, summary_markdown
from vlmsel.evaluation.metrics import METRICS
from vlmsel.selection import make_selector


def summary() -> pl.DataFrame:
    rows = [
        ("s" if mean else "average-rank", metric, 3, 0.5 + mean, 0.1, 0.9, mean, low, mean * 2)
        for metric in METRICS
        for mean, low in ((0.0, 0.0), (0.25, 0.125))
    ]
    names = ["selector", "metric", "n_targets", "mean", "low", "high"]
    deltas = ["delta", "delta_low", "delta_high"]
    return pl.DataFrame(rows, schema=[*names, *deltas], orient="row")


def test_marks_follow_the_direction_of_the_metric() -> None:
    lines = summary_markdown(summary()).splitlines()
    assert lines[0].startswith("| selector | tasks | ndcg5_paper")
    assert lines[2] == "| s | 3 |" + " 0.750 + |" * 5 + " 0.750 - |"  # regret: higher is worse
    assert lines[3] == "| average-rank | 3 |" + " 0.500 |" * 6
    assert len(lines) == 4


def test_differences() -> None:
    lines = delta_markdown(summary(), ("tau", "regret1")).splitlines()
    assert lines[0] == "| selector | tau | regret1 |"
    assert lines[3] == "| s | +0.250 (+0.125 to +0.500) | +0.250 (+0.125 to +0.500) |"


def test_one_section_a_table(tables: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    selectors = [make_selector(name) for name in ("average-rank", "dcd")]
    result = leave_one_out(selectors, *tables)
    text = evidence_markdown({"first zoo": result, "second zoo": result})
    assert text.count("5 targets, 8 models, 4 sources each.") == 2
    assert text.index("### first zoo") < text.index("### second zoo")
    assert text.count("| dcd |") == 4
