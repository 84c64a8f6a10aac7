"""A small zoo with several images per task, for every study."""

import numpy as np
import polars as pl
import pytest

from tests.evaluation.conftest import make_tables
from vlmsel.evaluation.studies import StudyData
from vlmsel.selection import make_selector


@pytest.fixture(scope="session")
def data() -> StudyData:
    accuracies, profiles = make_tables(4)
    rng = np.random.default_rng(4)
    images = pl.concat(
        profiles.with_columns(
            image_id=pl.lit(f"i{i}"),
            conductance=pl.col("conductance")
            * pl.Series(np.exp(0.5 * rng.normal(size=len(profiles)))),
        )
        for i in range(4)
    )
    selectors = {name: make_selector(name) for name in ("average-rank", "dcd")}
    return StudyData(accuracies, {"conductance": images}, selectors, repeats=2)
