"""The selectors by divergence: each is one choice of the same four settings."""

import polars as pl
import pytest

from vlmsel.selection.dcd_table import dcd_matrix
from vlmsel.selection.registry import make_selector
from vlmsel.selection.similarity import effective_sources, similarity


@pytest.mark.parametrize(
    ("name", "eta", "gamma", "scale", "pooled"),
    [
        ("dcd", 2.0, 5.0, "none", False),
        ("dcd-scaled", 2.0, 2.0, "spread", False),
        ("dcd-pooled", 2.0, 2.0, "spread", True),
        ("dcd-uniform", 0.0, 2.0, "spread", True),
    ],
)
def test_weights_are_those_of_its_definition(problem, name, eta, gamma, scale, pooled):
    ranking = make_selector(name).rank(problem)
    dcd = dcd_matrix(problem.profiles, eta=eta).filter(target="t0")
    expected = similarity(dcd, gamma=gamma, scale=scale, pooled=pooled)
    keys = ["model", "pretrained", "source"]
    joined = ranking.weights.join(expected, on=keys, suffix="_expected", validate="1:1")
    assert len(joined) == 30
    assert joined.select((pl.col("weight") - pl.col("weight_expected")).abs().max()).item() < 1e-12
    mean = effective_sources(expected)["effective"].mean()
    assert ranking.effective_sources == pytest.approx(mean)
