from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from vlmsel.selection import Problem, make_selector
from vlmsel.selection.labelled_hits import LabelledHits
from vlmsel.selection.posterior import condition, fit_prior, observe_hits

SOURCES = {
    "s0": [0.70, 0.60, 0.80, 0.50],
    "s1": [0.90, 0.85, 0.95, 0.80],
    "s2": [0.40, 0.20, 0.30, 0.25],
    "s3": [0.65, 0.66, 0.72, 0.40],
    "imagenet1k": [0.30, 0.35, 0.50, 0.28],
}
KEYS = tuple((f"m{i}", "x") for i in range(4))
HITS = np.random.default_rng(0).integers(0, 2, (10, 4)).astype(float)


@pytest.fixture
def problem() -> Problem:
    rows = [
        (*key, task, value)
        for task, values in SOURCES.items()
        for key, value in zip(KEYS, values, strict=True)
    ]
    table = pl.DataFrame(rows, schema=["model", "pretrained", "task", "acc1"], orient="row")
    return Problem("new", ("s0", "s1", "s2", "s3"), table, hits=LabelledHits(KEYS, HITS))


def scores(problem: Problem) -> dict[str, float]:
    table = make_selector("posterior").rank(problem).table
    return dict(table.select("model", "score").rows())


def test_scores_are_negated_posterior_means_with_imagenet_among_the_sources(problem):
    expected = -condition(fit_prior(np.array(list(SOURCES.values()))), observe_hits(HITS)).score
    found = scores(problem)
    np.testing.assert_allclose([found[f"m{i}"] for i in range(4)], expected)


@pytest.mark.parametrize("hits", [None, LabelledHits(KEYS, np.zeros((0, 4)))])
def test_without_labels_it_is_average_rank(problem, hits):
    bare = replace(problem, hits=hits)
    expected = make_selector("average-rank").rank(bare).table
    assert make_selector("posterior").rank(bare).table.equals(expected)


def test_a_model_in_no_source_is_ranked_by_its_hits(problem):
    keys = (*KEYS, ("new", "x"))
    good, bad = (
        scores(replace(problem, hits=LabelledHits(keys, np.column_stack([HITS, column]))))
        for column in (np.ones(10), np.zeros(10))
    )
    assert good["new"] < bad["new"]


def test_a_model_without_predictions_keeps_a_score(problem):
    hits = LabelledHits(KEYS[:3], HITS[:, :3])
    assert set(scores(replace(problem, hits=hits))) == {"m0", "m1", "m2", "m3"}


def test_with_one_source_only_the_hits_count(problem):
    single = replace(
        problem,
        sources=("s0",),
        accuracies=problem.accuracies.filter(task="s0"),
        hits=LabelledHits(KEYS[:3], HITS[:, :3]),
    )
    table = make_selector("posterior").rank(single).table
    rates = dict(zip([key[0] for key in KEYS], HITS.mean(axis=0), strict=True))
    order = table["model"].to_list()
    assert order[-1] == "m3"
    assert [rates[name] for name in order[:3]] == sorted(HITS[:, :3].mean(axis=0), reverse=True)
