import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.ranking import make_ranking, top_sources

MODELS = [("a", "p"), ("b", "p"), ("c", "p")]


@pytest.fixture
def tied(make_problem):
    """By average rank over t1, t2: c before a and b, which tie."""
    return make_problem(np.array([[0.5, 0.3, 0.5], [0.5, 0.5, 0.3], [0.5, 0.9, 0.9]]))


def order(ranking) -> list[str]:
    assert ranking.table["rank"].to_list() == list(range(1, len(ranking.table) + 1))
    return ranking.table["model"].to_list()


def test_lowest_score_first(tied):
    ranking = make_ranking(tied, MODELS, np.array([3.0, 1.0, 2.0]), None, ())
    assert order(ranking) == ["b", "c", "a"]
    assert ranking.table.columns == ["target", "rank", "model", "pretrained", "score"]
    assert ranking.table["target"].unique().to_list() == ["t0"]


def test_ties_go_to_the_better_average_rank_and_then_to_the_name(tied):
    assert order(make_ranking(tied, MODELS, np.zeros(3), None, ())) == ["c", "a", "b"]


def test_rounding_makes_no_order(tied):
    scores = np.array([1.0, 1.0 - 1e-14, 1.0 + 1e-14])
    assert order(make_ranking(tied, MODELS, scores, None, ())) == ["c", "a", "b"]


def test_models_without_score_are_named(tied):
    scores = np.array([np.nan, 1.0, 2.0])
    ranking = make_ranking(tied, MODELS, scores, None, [(("z", "p"), "gone")])
    assert order(ranking) == ["b", "c"]
    assert ranking.left_out.rows() == [("z", "p", "gone"), ("a", "p", "no score")]


def test_no_model_at_all_is_an_error(tied):
    with pytest.raises(SelectionError, match="no model can be ranked for t0: gone"):
        make_ranking(tied, [], np.array([]), None, [(("z", "p"), "gone")])


def test_reasons_are_the_heaviest_sources_by_rank(tied):
    weights = np.array([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]])
    ranking = make_ranking(tied, MODELS, np.array([3.0, 1.0, 2.0]), weights, ())
    assert top_sources(ranking, 1).select("rank", "model", "source", "weight").rows() == [
        (1, "b", "t1", 0.6),
        (2, "c", "t1", 0.5),
        (3, "a", "t2", 0.9),
    ]
    assert ranking.reasons.height == 6


def test_no_weights_no_reasons(tied):
    ranking = make_ranking(tied, MODELS, np.zeros(3), None, ())
    assert ranking.reasons.is_empty()
    assert ranking.reasons.columns == ["rank", "model", "pretrained", "source", "weight"]
    assert (ranking.effective_sources, ranking.near_uniform, ranking.notice) == (None, False, None)


def test_near_uniform_weights_are_said(tied):
    ranking = make_ranking(tied, MODELS, np.zeros(3), np.full((3, 2), 0.5), ())
    assert ranking.effective_sources == pytest.approx(2)
    assert ranking.near_uniform
    assert ranking.notice == (
        "The similarity hardly tells the sources apart (2.0 effective of 2): "
        "this ranking is close to average rank."
    )


def test_sharp_weights_are_not_near_uniform(tied):
    # exp(entropy of (.9, .1)) = 1.38 of 2.
    ranking = make_ranking(tied, MODELS, np.zeros(3), np.array([[0.9, 0.1]] * 3), ())
    assert ranking.effective_sources == pytest.approx(1 / (0.9**0.9 * 0.1**0.1))
    assert not ranking.near_uniform
    assert ranking.notice is None


def test_near_uniform_counts_only_the_sources_that_know_a_model(tied):
    ranking = make_ranking(tied, MODELS, np.zeros(3), np.array([[1.0, np.nan]] * 3), ())
    assert ranking.weights is not None
    assert set(ranking.weights["source"]) == {"t1"}
    assert ranking.near_uniform


def test_one_source_is_no_question_of_similarity(make_problem):
    problem = make_problem(np.array([[0.1, 0.2], [0.3, 0.4]]))
    ranking = make_ranking(problem, MODELS[:2], np.zeros(2), np.ones((2, 1)), ())
    assert not ranking.near_uniform


def test_weights_of_models_without_score_are_dropped(tied):
    scores = np.array([np.nan, 1.0, 2.0])
    ranking = make_ranking(tied, MODELS, scores, np.full((3, 2), 0.5), ())
    assert isinstance(ranking.weights, pl.DataFrame)
    assert set(ranking.weights["model"]) == {"b", "c"}
