import polars as pl
from scipy.spatial import distance

from vlmsel.selection.registry import make_selector
from vlmsel.selection.similarity import similarity


def test_weights_are_those_of_its_definition(problem, distance_rows):
    ranking = make_selector("cosine").rank(problem)
    distances = distance_rows(problem, distance.cosine)
    expected = similarity(distances, gamma=2.0, scale="spread", pooled=True)
    keys = ["model", "pretrained", "source"]
    joined = ranking.weights.join(expected, on=keys, suffix="_expected", validate="1:1")
    assert len(joined) == 30
    assert joined.select((pl.col("weight") - pl.col("weight_expected")).abs().max()).item() < 1e-12
