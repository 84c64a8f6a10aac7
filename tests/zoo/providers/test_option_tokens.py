"""Options in place, on token lists written by hand."""

import pytest

from vlmsel.zoo.providers.option_tokens import UnusableOptionsError, place_options

AB = ("A", "B")


def test_the_first_token_that_differs_is_the_options_own():
    found = place_options([5, 6], [[5, 6, 1], [5, 6, 2]], AB, whole=False)
    assert (found.n_dropped, found.shared, found.options) == (0, (), ((1,), (2,)))


def test_a_token_of_white_space_before_all_options_belongs_to_the_prompt():
    found = place_options([5, 6], [[5, 6, 9, 1, 3], [5, 6, 9, 2]], AB, whole=False)
    assert (found.n_dropped, found.shared, found.options) == (0, (9,), ((1,), (2,)))


def test_a_prompt_that_an_option_joins_is_cut_there():
    found = place_options([5, 6], [[5, 71], [5, 72]], AB, whole=True)
    assert (found.n_dropped, found.shared, found.options) == (1, (), ((71,), (72,)))
    found = place_options([5, 6, 7], [[5, 8, 71], [5, 8, 72]], AB, whole=True)
    assert (found.n_dropped, found.shared, found.options) == (2, (8,), ((71,), (72,)))


def test_an_option_that_begins_another_keeps_a_token():
    found = place_options([5], [[5, 1], [5, 1, 2]], ("red", "red car"), whole=True)
    assert found.options == ((1,), (1, 2))
    with pytest.raises(UnusableOptionsError, match="have the same first token"):
        place_options([5], [[5, 1], [5, 1, 2]], ("red", "red car"), whole=False)


def test_options_that_are_the_same_tokens_are_refused():
    with pytest.raises(UnusableOptionsError, match="'A' and 'B' have the same tokens"):
        place_options([5], [[5, 1], [5, 1]], AB, whole=True)
