"""All images give leave-one-out itself; fewer change DCD alone."""

from dataclasses import replace

import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.studies import StudyData
from vlmsel.evaluation.studies.image_counts import number_of_images


@pytest.fixture(scope="module")
def table(data: StudyData) -> pl.DataFrame:
    return number_of_images(data)


def test_all_images_are_leave_one_out(table: pl.DataFrame, data: StudyData) -> None:
    assert table["n_images"].unique().sort().to_list() == [1, 2, 3, 4]
    expected = leave_one_out(data.selectors, data.accuracies, data.reference).summary()
    for side in ("target", "sources"):
        got = table.filter(side=side, n_images=4).select("selector", "metric", "mean")
        joined = got.join(expected, on=["selector", "metric"])
        assert joined["mean"].to_list() == pytest.approx(joined["mean_right"].to_list())


def test_average_rank_looks_at_no_image_and_dcd_does(table: pl.DataFrame) -> None:
    tau = table.filter(metric="tau")
    spread = tau.group_by("selector", "side").agg(pl.col("mean").n_unique())
    different = {(selector, side): n for selector, side, n in spread.rows()}
    assert different["average-rank", "target"] == different["average-rank", "sources"] == 1
    assert different["dcd", "target"] > 1
    assert different["dcd", "sources"] > 1


def test_one_image_is_too_few(data: StudyData) -> None:
    image_rows = data.reference.filter(image_id="i0")
    with pytest.raises(SelectionError, match="fewer than 2 images"):
        number_of_images(replace(data, profiles={"x": image_rows}))


def test_an_image_that_failed_for_one_model_is_not_drawn(data: StudyData) -> None:
    failed = (pl.col("model") == "model3") & (pl.col("image_id") == "i1")
    holed = data.reference.with_columns(
        conductance=pl.when(failed).then(None).otherwise("conductance")
    )
    table = number_of_images(replace(data, profiles={"x": holed}))
    assert table["n_images"].max() == 3
    assert table["n_targets"].unique().to_list() == [5]
