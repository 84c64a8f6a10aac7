import polars as pl
import pytest

from vlmsel.selection.divergence import dcd_matrix
from vlmsel.selection.registry import make_selector
from vlmsel.selection.similarity import effective_sources, similarity


def test_weights_are_those_of_its_definition(problem):
    ranking = make_selector("dcd-pooled").rank(problem)
    dcd = dcd_matrix(problem.profiles, eta=2.0).filter(target="t0")
    expected = similarity(dcd, gamma=2.0, scale="spread", pooled=True)
    keys = ["model", "pretrained", "source"]
    both = ranking.weights.join(expected, on=keys, suffix="_expected", validate="1:1")
    assert len(both) == 30
    assert both.select((pl.col("weight") - pl.col("weight_expected")).abs().max()).item() < 1e-12
    mean = effective_sources(expected)["effective"].mean()
    assert ranking.effective_sources == pytest.approx(mean)
