"""Noise and stray images: none is leave-one-out, much of them moves DCD."""

import polars as pl
import pytest

from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.studies import StudyData
from vlmsel.evaluation.studies.noise import off_task_images, source_noise


@pytest.mark.parametrize(("study", "x"), [(source_noise, "sigma"), (off_task_images, "share")])
def test_nothing_changed_is_leave_one_out(study, x: str, data: StudyData) -> None:
    table = study(data)
    expected = leave_one_out(data.selectors, data.accuracies, data.reference).summary()
    joined = table.filter(pl.col(x) == 0).join(expected, on=["selector", "metric"])
    assert len(joined) == len(expected)
    assert joined["mean"].to_list() == pytest.approx(joined["mean_right"].to_list())


@pytest.mark.parametrize(("study", "x"), [(source_noise, "sigma"), (off_task_images, "share")])
def test_only_the_selector_that_looks_at_profiles_changes(study, x: str, data: StudyData) -> None:
    tau = study(data).filter(metric="tau")
    assert tau.filter(selector="average-rank")["mean"].n_unique() == 1
    assert tau.filter(selector="dcd")["mean"].n_unique() > 1
    assert tau[x].n_unique() >= 5


def test_equal_seeds_give_equal_tables(data: StudyData) -> None:
    one, again = (source_noise(data).drop_nulls() for _ in range(2))
    assert one["mean"].to_list() == pytest.approx(again["mean"].to_list())
