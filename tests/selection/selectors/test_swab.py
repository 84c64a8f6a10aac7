"""SWAB: labels of the target change nothing, transported ranks decide alone, bad input."""

import dataclasses

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.registry import make_selector


def test_moved_ranks_alone_are_those_of_the_classes(problem):
    # Model a is best on every class of every source, f worst.
    for task, models in problem.texts.views.items():
        for place, (key, view) in enumerate(sorted(models.items())):
            if task != "t0":
                models[key] = dataclasses.replace(view, accuracy=np.full(3, 1 - 0.1 * place))
    ranking = make_selector("swab", share=0).rank(problem).table
    assert ranking["model"].to_list() == list("abcdef")
    np.testing.assert_allclose(ranking["score"], range(1, 7))


def test_gaps_of_the_sources_move_the_captions(problem):
    before = make_selector("swab", share=1).rank(problem).table
    for models in problem.texts.views.values():
        for key, view in models.items():
            if view.gaps is not None:
                models[key] = dataclasses.replace(view, gaps=-5 * view.gaps)
    assert not make_selector("swab", share=1).rank(problem).table.equals(before)


def test_classes_like_none_are_said(problem):
    with pytest.raises(SelectionError, match="no source class is like a class of the target"):
        make_selector("swab", threshold=0.9999).rank(problem)


def test_one_source_with_images_is_too_few(problem):
    texts = problem.texts
    for task in ("t2", "t3", "t4", "t5"):
        texts = texts.hide_labels(task)
    with pytest.raises(SelectionError, match=r"needs 2 source tasks with texts.*t0 has 1"):
        make_selector("swab").rank(dataclasses.replace(problem, texts=texts))


def test_a_model_without_texts_is_named(problem):
    del problem.texts.views["t3"]["b", "p"]
    ranking = make_selector("swab").rank(problem)
    assert ranking.left_out.rows() == [("b", "p", "no texts of all tasks")]
