"""Selectors without labels: golden numbers, left-out models, and where a majority is wrong."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import FAILED
from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import make_selector
from vlmsel.selection.zoo_answers import ZooAnswers

H = np.array(
    [
        [0, 1, 2, 0, 1, 2, 0, 1],
        [0, 1, 2, 0, 1, 1, 0, 2],
        [0, 1, 1, 0, 2, 2, 0, 1],
        [1, 1, 2, 2, 1, 0, 0, 0],
    ]
)
GOLDEN = {
    "consensus": [0.833333, 0.75, 0.583333, 0.5],
    "dawid-skene": [0.999732, 0.750041, 0.749874, 0.499974],
    "pair-agreement": [0.666667, 0.583333, 0.5, 0.416667],
}


def answers(classes: np.ndarray, n_classes: int = 3, **known: np.ndarray) -> ZooAnswers:
    nothing = np.full(classes.shape, np.nan)
    measures = dict.fromkeys(("confidence", "margin", "entropy"), nothing) | known
    models = tuple((f"m{i}", "x") for i in range(len(classes)))
    images = tuple(f"i{i}" for i in range(classes.shape[1]))
    return ZooAnswers(models, images, classes, n_classes, **measures)


def problem(found: ZooAnswers | None, n_models: int = 4) -> Problem:
    rows = [(f"m{i}", "x", "s", 0.5 + i / 100) for i in range(n_models)]
    table = pl.DataFrame(rows, schema=["model", "pretrained", "task", "acc1"], orient="row")
    return Problem("new", ("s",), table, answers=found)


def scores(name: str, found: ZooAnswers) -> list[float]:
    table = make_selector(name).rank(problem(found)).table.sort("model")
    return (-table["score"].to_numpy()).tolist()


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_numbers(name):
    assert scores(name, answers(H)) == pytest.approx(GOLDEN[name], abs=2e-6)


def test_full_confusion_matrices_agree_on_the_best():
    found = scores("dawid-skene-full", answers(H))
    assert int(np.argmax(found)) == 0
    assert int(np.argmin(found)) == 3


@pytest.mark.parametrize("name", ["confidence", "margin", "entropy"])
def test_measures_of_one_model_are_means_over_its_images(name):
    values = -np.random.default_rng(0).random(H.shape)
    values[0, :4] = np.nan
    assert scores(name, answers(H, **{name: values})) == pytest.approx(np.nanmean(values, axis=1))


def test_weights_favour_sure_models():
    # Two models agree, one that is sure contradicts them.
    classes = np.array([[0] * 6, [1] * 6, [1] * 6, [0] * 6])
    sure = np.array([[0.95] * 6, [0.40] * 6, [0.40] * 6, [0.5] * 6])
    found = answers(classes, confidence=sure)
    assert scores("consensus", found) != scores("weighted-consensus", found)
    assert scores("weighted-consensus", found)[3] == 1.0
    assert scores("weighted-consensus", found)[1] == 0.0


def test_ties_go_to_average_rank():
    same = answers(np.tile(H[0], (4, 1)))
    table = make_selector("consensus").rank(problem(same)).table
    assert table["model"].to_list() == ["m3", "m2", "m1", "m0"]


def test_a_model_without_an_answer_is_left_out_by_name():
    ranking = make_selector("dawid-skene").rank(problem(answers(H), n_models=5))
    assert ranking.left_out.rows() == [("m4", "x", "no answer on the images")]
    holes = H.copy()
    holes[1] = FAILED
    ranking = make_selector("consensus").rank(problem(answers(holes)))
    assert ranking.left_out.rows() == [("m1", "x", "no score")]


@pytest.mark.parametrize("found", [None, answers(H[:0])])
def test_without_answers_it_says_what_is_missing(found):
    with pytest.raises(SelectionError, match="give class names"):
        make_selector("consensus").rank(problem(found))


def test_measures_that_are_not_known_rank_nothing():
    with pytest.raises(SelectionError, match="no model can be ranked"):
        make_selector("confidence").rank(problem(answers(H)))


@pytest.mark.parametrize("name", ["consensus", "dawid-skene", "pair-agreement"])
def test_a_wrong_majority_turns_the_order_round(name):
    # Three models share one wrong answer; the only right model comes last: what the docs warn of.
    truth = np.zeros(40, dtype=int)
    wrong = np.ones((3, 40), dtype=int)
    wrong[np.arange(3), np.arange(3)] = 0
    table = make_selector(name).rank(problem(answers(np.vstack([wrong, truth])))).table
    assert table["model"][-1] == "m3"


def test_zoos_are_scored_among_themselves(problem):
    scorer = make_selector("consensus").prepare(problem)
    pair = scorer.score(np.array([[0, 1]])).values[0]
    known = problem.answers
    assert known is not None
    agreement = (known.classes[0] == known.classes[1]).mean()
    assert pair == pytest.approx([-agreement] * 2)
    assert replace(problem, answers=None).answers is None
