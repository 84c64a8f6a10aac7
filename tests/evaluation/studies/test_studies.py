"""Every study that this data allows draws its own table."""

from dataclasses import replace

import polars as pl
import pytest

from vlmsel.evaluation.studies import STUDIES, StudyData
from vlmsel.report.study_figures import STUDY_FIGURES


def test_every_study_has_a_figure() -> None:
    assert STUDY_FIGURES.keys() == STUDIES.keys()


# The figure of other zoos has selectors down, see test_zoos.py.
@pytest.mark.parametrize("name", sorted(STUDIES.keys() - {"zoos"}))
def test_every_study_has_a_figure_of_its_table(name: str, data: StudyData) -> None:
    squared = data.reference.with_columns(conductance=pl.col("conductance") ** 2)
    two = replace(data, profiles={**data.profiles, "gradient": squared}, repeats=1)
    study = STUDIES[name]
    table = study.function(two)
    figure = STUDY_FIGURES[name](table)
    panels = table["side"].n_unique() if "side" in table.columns else 1
    axes = [axis for axis in figure.axes if axis.get_xlabel()]
    assert len(axes) == panels
    drawn = sum(len(axis.containers) + len(axis.images) for axis in axes)
    selectors = table["selector"].n_unique()
    assert drawn == panels * selectors
    assert study.description
