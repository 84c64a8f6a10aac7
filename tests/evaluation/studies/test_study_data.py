"""Input that the studies share."""

import pytest

from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.studies import StudyData
from vlmsel.evaluation.studies.study_data import evaluate_conditions, with_profiles


def test_repeats_of_a_condition_are_averaged_by_target(data: StudyData) -> None:
    same = with_profiles(data.held_out, lambda _, profiles: profiles)
    table = evaluate_conditions([({"x": 1}, same), ({"x": 1}, same)], data.selectors)
    expected = leave_one_out(data.selectors, data.accuracies, data.reference).summary()
    joined = table.join(expected, on=["selector", "metric"])
    assert len(table) == len(joined) == len(expected)
    assert joined["mean"].to_list() == pytest.approx(joined["mean_right"].to_list())
    assert table["n_targets"].unique().to_list() == [5]
