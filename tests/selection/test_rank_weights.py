import dataclasses

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.dcd_table import dcd_matrix
from vlmsel.selection.knowledge import task_ranks
from vlmsel.selection.registry import make_selector
from vlmsel.selection.similarity import similarity

KEYS = ["model", "pretrained"]


def slow_scores(problem, *, gamma: float, scale: str, pooled: bool) -> pl.DataFrame:
    """Score of docs/internals/selection.md by joins of polars tables."""
    dcd = dcd_matrix(problem.profiles, targets=[problem.target])
    weights = similarity(dcd, gamma=gamma, scale=scale, pooled=pooled)
    ranks = task_ranks(problem.accuracies).rename({"task": "source"})
    weighted = weights.join(ranks, on=[*KEYS, "source"])
    return weighted.group_by(KEYS).agg(score=(pl.col("weight") * pl.col("rank")).sum()).sort(KEYS)


@pytest.mark.parametrize("scale", ["none", "spread"])
@pytest.mark.parametrize("pooled", [False, True])
def test_scores_are_those_of_the_tables(problem, scale, pooled):
    ranking = make_selector("dcd", gamma=1.5, scale=scale, pooled=pooled).rank(problem)
    expected = slow_scores(problem, gamma=1.5, scale=scale, pooled=pooled)
    found = ranking.table.sort(KEYS)
    assert found["model"].to_list() == expected["model"].to_list()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-12)


@pytest.mark.parametrize(("pooled", "vectors"), [(False, 6), (True, 1)])
def test_weights_sum_to_1_and_are_shared_when_pooled(problem, pooled, vectors):
    ranking = make_selector("dcd-pooled", pooled=pooled).rank(problem)
    by_model = (
        ranking.weights.sort("source").group_by(KEYS).agg("weight", total=pl.col("weight").sum())
    )
    np.testing.assert_allclose(by_model["total"], 1.0)
    assert len({tuple(np.round(w, 12)) for w in by_model["weight"].to_list()}) == vectors


@pytest.mark.parametrize("name", ["dcd", "dcd-scaled", "dcd-pooled", "cosine"])
def test_gamma_0_is_average_rank(problem, name):
    ranking = make_selector(name, gamma=0).rank(problem)
    average = make_selector("average-rank").rank(problem)
    assert ranking.table.drop("score").equals(average.table.drop("score"))
    np.testing.assert_allclose(ranking.table["score"], average.table["score"])
    assert ranking.effective_sources == pytest.approx(5)
    assert ranking.near_uniform


def test_a_sharp_gamma_follows_the_nearest_source(make_problem):
    # t2 has the target's profile; t1 does not.
    shape = np.array([[1.0, 2.0], [9.0, 1.0], [1.0, 2.1]])
    accuracy = np.array([[0, 0.9, 0.1], [0, 0.5, 0.5], [0, 0.1, 0.9]])
    problem = make_problem(accuracy, np.stack([shape] * 3))
    ranking = make_selector("dcd", gamma=1000).rank(problem)
    assert ranking.table["model"].to_list() == ["c", "b", "a"]
    assert ranking.effective_sources == pytest.approx(1)
    assert set(ranking.reasons.filter(pl.col("weight") > 0.5)["source"]) == {"t2"}


def with_holes(make_problem, *, accuracy=(), profiles=()):
    rng = np.random.default_rng(5)
    known, shapes = rng.random((5, 4)), rng.lognormal(size=(5, 4, 3))
    for cell in accuracy:
        known[cell] = np.nan
    for cell in profiles:
        shapes[cell] = np.nan
    return make_problem(known, shapes)


def test_weights_go_to_the_sources_that_know_the_model(make_problem):
    problem = with_holes(make_problem, accuracy=[(0, 2)])
    whole = with_holes(make_problem)
    found = make_selector("dcd", gamma=1).rank(problem).weights.filter(model="a")
    before = make_selector("dcd", gamma=1).rank(whole).weights.filter(model="a", source="t1")
    kept = (
        make_selector("dcd", gamma=1)
        .rank(whole)
        .weights.filter(pl.col("model") == "a", pl.col("source") != "t2")
    )
    assert found["source"].to_list() == ["t1", "t3"]
    np.testing.assert_allclose(found["weight"], kept["weight"] / kept["weight"].sum())
    assert found["weight"][0] > before["weight"][0]


def test_a_model_without_accuracies_is_named(make_problem):
    problem = with_holes(make_problem, accuracy=[(1, 1), (1, 2), (1, 3)])
    for name in ("dcd", "dcd-pooled"):
        ranking = make_selector(name).rank(problem)
        assert ranking.left_out.rows() == [("b", "p", "no accuracy on any source task")]
        assert len(ranking.table) == 4


def test_a_model_without_target_profile_is_named_unless_pooled(make_problem):
    problem = with_holes(make_problem, profiles=[(2, 0)])
    ranking = make_selector("dcd").rank(problem)
    assert ranking.left_out.rows() == [("c", "p", "no profile of t0 and of a source")]
    assert set(ranking.table["model"]) == {"a", "b", "d", "e"}
    pooled = make_selector("dcd-pooled").rank(problem)
    assert pooled.left_out.is_empty()
    assert set(pooled.table["model"]) == {"a", "b", "c", "d", "e"}
    vectors = pooled.weights.sort("source").group_by("model").agg("weight")["weight"].to_list()
    np.testing.assert_allclose(vectors, [vectors[0]] * 5)


def test_models_left_out_do_not_move_the_ranks_of_others(make_problem):
    problem = with_holes(make_problem, profiles=[(2, 0)])
    without_c = dataclasses.replace(
        problem, accuracies=problem.accuracies.filter(pl.col("model") != "c")
    )
    for name in ("dcd", "dcd-scaled"):
        found, expected = (make_selector(name).rank(p).table for p in (problem, without_c))
        assert found.equals(expected)


def test_a_missing_source_profile_weighs_nothing(make_problem):
    problem = with_holes(make_problem, profiles=[(2, 1)])
    weights = make_selector("dcd").rank(problem).weights.filter(model="c")
    assert weights.filter(source="t1")["weight"].item() == 0
    assert weights["weight"].sum() == pytest.approx(1)


@pytest.mark.parametrize("name", ["dcd", "dcd-pooled", "combined", "cosine", "symmetric-l1"])
def test_profiles_must_be_there(problem, name):
    with pytest.raises(SelectionError, match=f"selector {name} needs profiles"):
        make_selector(name).rank(dataclasses.replace(problem, profiles=None))
    others = problem.profiles.filter(pl.col("task") != "t0")
    with pytest.raises(SelectionError, match="no model has a profile of t0"):
        make_selector(name).rank(dataclasses.replace(problem, profiles=others))


@pytest.mark.parametrize("name", ["dcd", "dcd-pooled", "combined", "jensen-shannon"])
def test_sources_without_any_profile_are_an_error(problem, name):
    alone = problem.profiles.filter(pl.col("task") == "t0")
    with pytest.raises(SelectionError, match="no source of t0 has a profile"):
        make_selector(name).rank(dataclasses.replace(problem, profiles=alone))
