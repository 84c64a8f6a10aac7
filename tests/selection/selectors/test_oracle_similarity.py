import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

from vlmsel.errors import SelectionError
from vlmsel.selection.registry import make_selector
from vlmsel.selection.selectors.oracle_similarity import spearman


def test_prefers_the_source_that_orders_the_zoo_like_the_target(make_problem):
    target = np.arange(6) / 10
    rng = np.random.default_rng(0)
    problem = make_problem(np.stack([target, rng.permutation(target), target, -target + 1], axis=1))
    ranking = make_selector("oracle-similarity", gamma=50).rank(problem)
    assert ranking.table["model"].to_list() == list("fedcba")
    assert set(ranking.reasons.filter(ranking.reasons["weight"] > 0.9)["source"]) == {"t2"}


def test_needs_the_truth(problem):
    with pytest.raises(SelectionError, match="needs the true accuracies of the target"):
        make_selector("oracle-similarity").rank(dataclasses.replace(problem, truth=None))


def test_correlation_is_scipys_over_the_models_that_both_know():
    rng = np.random.default_rng(0)
    a, b = rng.permuted(np.tile(np.arange(1.0, 8), (3, 1)), axis=1).T, np.arange(1.0, 8)[:, None]
    found = spearman(a, b)
    assert found.shape == (1, 3)
    expected = [spearmanr(a[:, i], b[:, 0]).statistic for i in range(3)]
    np.testing.assert_allclose(found[0], expected)
    a[2, 0] = np.nan
    keep = np.arange(7) != 2
    expected = np.corrcoef(a[keep, 0], b[keep, 0])[0, 1]
    assert spearman(a, b)[0, 0] == pytest.approx(expected)


def test_no_correlation_with_a_source_where_all_models_are_equal():
    assert spearman(np.full((4, 1), 2.5), np.arange(4.0)[:, None]).item() == 0
