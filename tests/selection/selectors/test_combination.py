import dataclasses

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import ndcg_score

from vlmsel.errors import SelectionError
from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import make_selector
from vlmsel.selection.selectors.combination import ndcg

SHARES, GAMMAS = (0.0, 0.5, 1.0), (1.0, 4.0)


def twins(make_problem, seed: int) -> Problem:
    """Tasks in pairs that share profile and order: 0 with 1, 2 with 3, ..; the pairs unrelated."""
    rng = np.random.default_rng(seed)
    accuracy = np.repeat(rng.random((8, 5)), 2, axis=1) + 1e-3 * rng.random((8, 10))
    profiles = np.repeat(rng.lognormal(size=(8, 5, 6)), 2, axis=1)
    return make_problem(accuracy, profiles + 1e-3 * rng.random((8, 10, 6)))


def inner_problem(problem: Problem, source: str) -> Problem:
    rest = tuple(s for s in problem.sources if s != source)
    known = problem.accuracies.filter(pl.col("task") != source)
    return dataclasses.replace(problem, target=source, sources=rest, accuracies=known, truth=None)


def slow_choice(problem: Problem) -> tuple[float, float]:
    """Nested leave-one-out with whole rankings, mixed by hand."""
    quality = {(share, gamma): 0.0 for share in SHARES for gamma in GAMMAS}
    for source in problem.sources:
        inner = inner_problem(problem, source)
        true = problem.accuracies.filter(task=source).sort("model")["acc1"].to_numpy()
        average = make_selector("average-rank").rank(inner).table.sort("model")["score"].to_numpy()
        for share, gamma in quality:
            dcd = make_selector("dcd-pooled", gamma=gamma).rank(inner).table.sort("model")["score"]
            mixed = (1 - share) * average + share * dcd.to_numpy()
            relevance = (true - true.min()) / (true.max() - true.min())
            quality[share, gamma] += ndcg_score(relevance[None], -mixed[None], k=5)
    best = max(quality.values())
    return min(choice for choice, value in quality.items() if value > best - 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_chooses_what_nested_leave_one_out_chooses(make_problem, seed):
    rng = np.random.default_rng(seed)
    problem = make_problem(rng.random((8, 6)), rng.lognormal(size=(8, 6, 4)))
    share, gamma = slow_choice(problem)
    found = make_selector("combined", shares=SHARES, gammas=GAMMAS).rank(problem).table
    dcd = make_selector("dcd-pooled", gamma=gamma).rank(problem).table.sort("model")["score"]
    average = make_selector("average-rank").rank(problem).table.sort("model")["score"]
    expected = (1 - share) * average + share * dcd
    np.testing.assert_allclose(found.sort("model")["score"], expected, rtol=1e-12)


def test_prefers_the_twin_when_sources_have_twins(make_problem):
    ranking = make_selector("combined").rank(twins(make_problem, 0))
    heaviest = ranking.reasons.group_by("rank", maintain_order=True).first()
    assert set(heaviest["source"]) == {"t1"}
    assert ranking.effective_sources < 5


def test_share_0_is_average_rank(problem):
    found = make_selector("combined", shares=(0.0,)).rank(problem)
    average = make_selector("average-rank").rank(problem)
    assert found.table.drop("score").equals(average.table.drop("score"))
    assert found.near_uniform


def test_the_target_takes_no_part_in_the_choice(make_problem):
    problem = twins(make_problem, 1)
    other = dataclasses.replace(
        problem, truth=problem.truth.with_columns(accuracy=-pl.col("accuracy"))
    )
    assert (
        make_selector("combined")
        .rank(problem)
        .table.equals(make_selector("combined").rank(other).table)
    )


def test_models_may_be_unknown_on_some_sources(make_problem):
    rng = np.random.default_rng(0)
    accuracy = rng.random((6, 6))
    accuracy[2, 3] = accuracy[4, 1] = np.nan
    ranking = make_selector("combined").rank(make_problem(accuracy, rng.lognormal(size=(6, 6, 3))))
    assert len(ranking.table) == 6
    assert set(ranking.weights.filter(model="c")["source"]) == {"t1", "t2", "t4", "t5"}


def test_one_source_is_too_few(make_problem):
    problem = make_problem(np.random.default_rng(0).random((3, 2)), np.ones((3, 2, 2)))
    with pytest.raises(SelectionError, match="learns from at least 2 sources, t0 has 1"):
        make_selector("combined").rank(problem)


@pytest.mark.parametrize("n_models", [2, 5, 9])
def test_ndcg_is_scikit_learns(n_models):
    rng = np.random.default_rng(n_models)
    accuracy, scores = rng.random((2, 10, n_models))
    relevance = accuracy - accuracy.min(axis=1, keepdims=True)
    expected = [ndcg_score(r[None], -s[None], k=5) for r, s in zip(relevance, scores, strict=True)]
    np.testing.assert_allclose(ndcg(accuracy, scores), expected)


def test_ndcg_of_equal_models_is_0_and_the_unknown_gain_nothing():
    assert ndcg(np.full(3, 0.5), np.arange(3.0)) == 0
    known = ndcg(np.array([0.1, 0.5, 0.9]), np.array([2.0, 3.0, 1.0]))
    with_unknown = ndcg(np.array([0.1, 0.5, 0.9, np.nan]), np.array([2.0, 3.0, 1.0, 9.0]))
    assert with_unknown == pytest.approx(known)
