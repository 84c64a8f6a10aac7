"""Granularity and attribution: the same comparison over variants of the profiles."""

from dataclasses import replace

import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.studies import StudyData
from vlmsel.evaluation.studies.setting_variants import attribution, granularity, to_stages


def rows(model: str, names: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model": model,
            "pretrained": "x",
            "task": "t",
            "image_id": "i",
            "block": pl.Series(range(len(names)), dtype=pl.Int32),
            "block_name": names,
            "conductance": [float(i) for i in range(len(names))],
        }
    )


def test_the_last_block_of_a_stage_stands_for_it() -> None:
    resnet = rows("rn", ["layer1.0", "layer1.1", "layer2.0", "layer3.0", "layer3.1"])
    vit = rows("vit", [f"resblocks.{i}" for i in range(10)])
    stages = to_stages(pl.concat([resnet, vit])).sort("model", "block")
    assert stages.filter(model="rn")["block_name"].to_list() == ["layer1.1", "layer2.0", "layer3.1"]
    # Quarters of ten blocks end behind 2, 5, 7 and 10, as in zoo.blocks.
    assert stages.filter(model="vit")["conductance"].to_list() == [1.0, 4.0, 6.0, 9.0]
    assert stages.filter(model="vit")["block"].to_list() == [0, 1, 2, 3]


def test_short_towers_keep_every_block() -> None:
    stages = to_stages(rows("tiny", ["blocks.0", "blocks.1", "blocks.2"]))
    assert stages["conductance"].to_list() == [0.0, 1.0, 2.0]


def test_blocks_against_regrouped_stages(data: StudyData) -> None:
    table = granularity(data)
    assert set(table["granularity"]) == {"conductance", "stage"}
    stages = to_stages(data.reference)
    expected = leave_one_out(data.selectors, data.accuracies, stages).summary(n_bootstrap=1)
    joined = table.filter(granularity="stage").join(expected, on=["selector", "metric"])
    assert joined["mean"].to_list() == pytest.approx(joined["mean_right"].to_list())


def test_attributions_are_compared_on_common_cells(data: StudyData) -> None:
    squared = data.reference.with_columns(conductance=pl.col("conductance") ** 2)
    fewer = squared.filter(pl.col("model") != "model0")
    two = replace(data, profiles={"conductance": data.reference, "gradient": fewer})
    table = attribution(two).filter(selector="average-rank", metric="tau")
    # Average rank sees the same seven models under both, so nothing but the profiles differs.
    assert table["mean"].n_unique() == 1
    known = data.reference.filter(pl.col("model") != "model0")
    expected = leave_one_out(data.selectors, data.accuracies, known).summary(n_bootstrap=1)
    row = expected.row(
        by_predicate=(pl.col("selector") == "average-rank") & (pl.col("metric") == "tau"),
        named=True,
    )
    assert table["mean"][0] == pytest.approx(row["mean"])


def test_nothing_to_compare(data: StudyData) -> None:
    with pytest.raises(SelectionError, match="there is only conductance"):
        attribution(data)
    other = data.reference.with_columns(model=pl.lit("else"))
    with pytest.raises(SelectionError, match="in common"):
        attribution(replace(data, profiles={"a": data.reference, "b": other}))
    with pytest.raises(SelectionError, match="needs profiles"):
        granularity(replace(data, profiles={}))
