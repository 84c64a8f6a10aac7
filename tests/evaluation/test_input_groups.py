"""Selectors grouped by what they ask of a task, and the best of each group in words."""

import polars as pl
import pytest

from vlmsel.evaluation.input_groups import describe_winners, group_by_needs, group_of

COLUMNS = ["selector", "metric", "mean", "delta", "delta_low", "delta_high"]


@pytest.mark.parametrize(
    ("selector", "group"),
    [
        ("average-rank", "nothing"),
        ("imagenet", "nothing"),
        ("modelgpt", "text"),
        ("swab", "text"),
        ("combined", "images"),
        ("confidence", "names"),
        ("vega", "names"),
        ("vega-mended", "names"),
        ("posterior@25", "labels"),
        ("interaction", "labels"),
        ("oracle-similarity", "truth"),
        ("of one's own", ""),
    ],
)
def test_groups(selector, group):
    assert group_of(selector) == group


def summary() -> pl.DataFrame:
    rows = [
        (name, metric, mean, delta, delta - 0.1, delta + 0.1)
        for metric in ("ndcg5", "tau")
        for name, mean, delta in (
            ("vega", 0.5, 0.05),
            ("average-rank", 0.45, 0.0),
            ("modelgpt", 0.7, 0.25),
            ("swab", 0.2, -0.25),
        )
    ]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def test_rows_come_group_after_group():
    found = group_by_needs(summary()).filter(metric="tau")
    assert found["selector"].to_list() == ["average-rank", "modelgpt", "swab", "vega"]
    assert found["needs"].to_list() == ["nothing", "text", "text", "names"]


def test_words_follow_the_numbers():
    first, second, third = describe_winners(summary()).splitlines()
    assert "best ndcg5 average-rank with 0.450; best tau average-rank" in first
    assert "best ndcg5 modelgpt with 0.700, clearly better than average rank (+0.250" in second
    assert "best tau vega with 0.500, open against average rank (+0.050" in third
