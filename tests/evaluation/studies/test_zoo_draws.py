"""Other zoos, as a study."""

import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.studies import StudyData
from vlmsel.evaluation.studies.zoo_draws import N_ZOOS, other_zoos
from vlmsel.evaluation.subsampled_zoos import subsampled_zoos, zoo_summary
from vlmsel.report.study_figures import STUDY_FIGURES
from vlmsel.selection import make_selector


def test_is_the_summary_of_a_thousand_zoos(data: StudyData) -> None:
    assert N_ZOOS == 1000
    table = other_zoos(data, n_zoos=20)
    zoos = subsampled_zoos(data.selectors, data.accuracies, data.reference, n_zoos=20, seed=0)
    assert table.drop("n_zoos", "n_models").equals(zoo_summary(zoos))
    assert table["n_models"].unique().to_list() == [8]
    axes = STUDY_FIGURES["zoos"](table).axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["dcd"]


def test_needs_profiles_only_for_selectors_that_do(data: StudyData) -> None:
    blind = {name: make_selector(name) for name in ("average-rank", "random")}
    table = other_zoos(StudyData(data.accuracies, {}, blind), n_zoos=3)
    assert set(table["selector"]) == set(blind)
    with pytest.raises(SelectionError, match="profiles"):
        other_zoos(StudyData(data.accuracies, {}, data.selectors))
