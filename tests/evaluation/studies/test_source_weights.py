"""Weights of sources."""

from dataclasses import replace

import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.studies import StudyData
from vlmsel.evaluation.studies.source_weights import sources_weighed
from vlmsel.selection import make_selector


def test_weights_sum_to_one_and_never_name_the_target(data: StudyData) -> None:
    table = sources_weighed(data)
    sums = table.group_by("selector", "target").agg(pl.col("weight").sum())
    assert sums["weight"].to_list() == pytest.approx([1.0] * len(sums))
    assert table.filter(pl.col("source") == pl.col("target")).is_empty()
    assert table["effective"].is_between(1, 4).all()


def test_gamma_zero_hears_all_alike(data: StudyData) -> None:
    alike = replace(data, selectors={"flat": make_selector("dcd", gamma=0.0)})
    table = sources_weighed(alike)
    assert table["weight"].to_list() == pytest.approx([0.25] * len(table))
    assert table["effective"].to_list() == pytest.approx([4.0] * len(table))


def test_no_selector_weighs_sources(data: StudyData) -> None:
    deaf = replace(data, selectors={"average-rank": make_selector("average-rank")})
    with pytest.raises(SelectionError, match="weighs sources"):
        sources_weighed(deaf)
