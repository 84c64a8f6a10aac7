"""Standing of a choice as numbers for the page."""

from dataclasses import replace

import polars as pl
import pytest

from tests.api.hand_answers import make_answer
from vlmsel.api.answer_lines import answer_lines, worth_line
from vlmsel.api.label_state import choose_points, draw_standing


def test_the_numbers_are_those_of_the_answer() -> None:
    answer = make_answer(8)
    standing = draw_standing(answer, 3)
    values, found = standing.values, answer.found
    assert (standing.revision, standing.n_labels, values["labels"]) == (3, 8, 8)
    assert (values["first"], values["regret"]) == (answer.first, found.regret)
    assert values["later"] == [[n, found.regrets[n]] for n in (25, 50, 100)]
    assert (values["checked"], values["next_check"], values["tolerance"]) == (5, 10, 0.02)
    assert (values["worth_line"], values["lines"]) == (worth_line(found), answer_lines(answer))
    assert (values["notes"], values["n_models"]) == (["a note"], 3)
    assert [model["is_first"] for model in values["models"]].count(True) == 1


def test_without_labels_nothing_is_told_of_their_worth() -> None:
    assert draw_standing(make_answer(), 0).values["worth_line"] == ""


def test_the_first_choice_is_shown_though_others_are_likelier() -> None:
    answer = make_answer(8)
    table = pl.concat([answer.table] * 2).with_columns(
        rank=pl.int_range(1, 7), p_best=pl.Series([0.0, 0.3, 0.1, 0.2, 0.15, 0.25])
    )
    models = draw_standing(replace(answer, table=table), 0).values["models"]
    assert [model["rank"] for model in models] == [2, 6, 4, 5, 1]
    assert [model["is_first"] for model in models] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("n_labels", "points"),
    [
        (0, [0]),
        (3, [0, 1, 2, 3]),
        (47, [*range(31), 40, 47]),
    ],
)
def test_points_of_the_curve_are_dense_at_the_beginning(n_labels: int, points: list[int]) -> None:
    assert choose_points(n_labels, (5, 10, 30, 40, 50)) == points
