"""Table of an answer made by hand."""

import numpy as np
import pytest

from tests.api.hand_answers import make_answer, make_zoo
from vlmsel.api.answer_table import answer_table


def test_models_come_in_their_order_with_all_that_is_known_of_each() -> None:
    answer = make_answer(8)
    found, table = answer.found, answer.table
    assert table["rank"].to_list() == [1, 2, 3]
    assert table["model"].to_list() == [found.models[i][0] for i in np.argsort(found.ranks)]
    row = table.row(table["model"].to_list().index("a"), named=True)
    assert row["accuracy"] == pytest.approx(found.accuracy[0])
    assert row["low"] < row["accuracy"] < row["high"]
    # Of eight labelled pictures it is right on all; two models beat it on the sources.
    assert (row["labelled_hits"], row["average_rank"], row["imagenet"]) == (8.0, 3, 0.9)
    assert table["p_best"].sum() == pytest.approx(1)
    assert (table["rank_low"] <= table["rank_high"]).all()
    assert row["parameters_m"] == 10.0, "facts stand beside"


def test_what_is_unknown_is_null() -> None:
    zoo = make_zoo(accuracy=make_zoo().accuracy[:1], imagenet=None)
    table = make_answer(zoo=zoo).table
    for name in ("accuracy", "low", "p_best", "rank_low", "imagenet", "labelled_hits"):
        assert table[name].null_count() == 3


def test_a_model_that_no_source_knows_has_no_place_by_average_rank() -> None:
    answer = make_answer(8)
    unknown = make_zoo(accuracy=make_zoo().accuracy * [np.nan, 1, 1])
    table = answer_table(answer.found, unknown)
    places = dict(table.select("model", "average_rank").iter_rows())
    assert places == {"a": None, "b": 2, "c": 1}


def test_models_beyond_the_limits_have_no_row() -> None:
    eligible = np.array([True, False, True])
    table = make_answer(8, question={"eligible": eligible}).table
    assert table["model"].sort().to_list() == ["a", "c"]
    assert table["rank"].to_list() == [1, 2]
