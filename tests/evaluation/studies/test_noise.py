"""Noise and stray images: none is leave-one-out, much of them moves DCD."""

import polars as pl
import pytest

from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.studies import StudyData
from vlmsel.evaluation.studies.noise import off_task_images, source_noise


@pytest.fixture(scope="module", params=[(source_noise, "sigma"), (off_task_images, "share")])
def changed(request: pytest.FixtureRequest, data: StudyData) -> tuple[pl.DataFrame, str]:
    """The table of one of the two studies, and its column of how much is changed."""
    study, x = request.param
    return study(data), x


def test_nothing_changed_is_leave_one_out(
    changed: tuple[pl.DataFrame, str], data: StudyData
) -> None:
    table, x = changed
    expected = leave_one_out(data.selectors, data.accuracies, data.reference).summary()
    joined = table.filter(pl.col(x) == 0).join(expected, on=["selector", "metric"])
    assert len(joined) == len(expected)
    assert joined["mean"].to_list() == pytest.approx(joined["mean_right"].to_list())


def test_only_the_selector_that_looks_at_profiles_changes(
    changed: tuple[pl.DataFrame, str],
) -> None:
    table, x = changed
    tau = table.filter(metric="tau")
    assert tau.filter(selector="average-rank")["mean"].n_unique() == 1
    assert tau.filter(selector="dcd")["mean"].n_unique() > 1
    assert tau[x].n_unique() >= 5


def test_equal_seeds_give_equal_tables(changed: tuple[pl.DataFrame, str], data: StudyData) -> None:
    table, x = changed
    again = (source_noise if x == "sigma" else off_task_images)(data)
    assert table.drop_nulls()["mean"].to_list() == pytest.approx(
        again.drop_nulls()["mean"].to_list()
    )
