"""Sentences of an answer made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.api.hand_answers import CLASSES, make_answer, make_zoo
from vlmsel.api.answer import AnswerOptions
from vlmsel.api.answer_lines import answer_lines, basis_words, worth_line
from vlmsel.api.choice import Choice
from vlmsel.selection.registry import make_selector


def test_the_sentences_come_in_the_order_in_which_they_are_needed() -> None:
    answer = make_answer(8)
    lines = answer_lines(answer)
    starts = (
        f"{answer.first} is the first choice for pets: 8 labels joined with what 4 source tasks",
        "Expected accuracy ",
        "Expected regret ",
        "Cannot be told apart from it: ",
        "8 labels are worth ",
        "Label more (next check at 10): the regret is to be expected at 25: ",
        "Label these images next, in a file `image,label`: 08.png, 09.png, 10.png, 11.png.",
        "Average rank would have said ",
        "Load it: open_clip.create_model_and_transforms(",
    )
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


def test_figures_are_those_of_the_answer() -> None:
    answer = make_answer(8)
    found, text = answer.found, " ".join(answer_lines(answer))
    assert found.regret is not None
    assert f"Expected accuracy {100 * found.accuracy[found.first]:.0f} % (90 % interval" in text
    assert f"Expected regret {100 * found.regret:.1f} points" in text
    assert f"25: {100 * found.regrets[25]:.1f}, 50: {100 * found.regrets[50]:.1f}, 100: " in text


def test_a_doubt_comes_before_the_choice() -> None:
    lines = answer_lines(make_answer(unlike="the answers are unlike those on every source"))
    assert lines[0] == (
        "No trustworthy ranking for these images: the answers are unlike those on every source."
    )
    assert " is the first choice " in lines[1]
    # With labels it is a note, not a doubt.
    labelled = make_answer(8, unlike="the answers are unlike those on every source")
    assert "No trustworthy ranking" not in answer_lines(labelled)[0]


def test_limits_are_part_of_the_choice() -> None:
    options = AnswerOptions(classnames=CLASSES, max_params=50, max_ms=2)
    within = "of at most 50 million parameters and at most 2 ms per image for pets"
    assert f"is the first choice {within}" in answer_lines(make_answer(options=options))[0]


def test_without_class_names_the_advice_is_to_give_them() -> None:
    answer = make_answer()
    bare = replace(answer, target_labels=replace(answer.target_labels, classnames=()))
    advice = "Labels say most: give --classnames a,b,c and --labels FILE (docs/guide/labels.md)."
    assert advice in answer_lines(bare)
    checked = "No label is used; the expected regret is checked against 2 points from 5 labels on."
    assert checked in answer_lines(bare)


def test_enough_labels_end_the_labelling() -> None:
    answer = make_answer(8)
    found = replace(answer.found, enough=True, checked=5, rivals=())
    lines = answer_lines(replace(answer, found=found))
    assert "Stop labelling: at 5 labels the expected regret is below 2 points." in lines
    assert not any(line.startswith("Label ") for line in lines)
    assert any(line.startswith("Every other model is told apart") for line in lines)


def test_without_a_posterior_the_accuracy_is_unknown() -> None:
    zoo = make_zoo(accuracy=make_zoo().accuracy[:1], imagenet=None)
    lines = answer_lines(make_answer(zoo=zoo))
    assert lines[1].startswith("Its accuracy is not known: no source task and no label")
    assert not any("regret" in line for line in lines)


def test_many_rivals_are_counted() -> None:
    answer = make_answer(8)
    found = replace(answer.found, rivals=(0, 1, 2, 0, 1, 2, 0))
    line = answer_lines(replace(answer, found=found))[3]
    assert line.endswith("c/x, a/x, b/x and 2 more.")


def test_what_the_order_rests_on_in_words() -> None:
    by_rank = "what 4 source tasks say, by average rank; no label was used"
    assert basis_words(make_answer()) == by_rank
    joined = "joined with what 4 source tasks say"
    assert basis_words(make_answer(1)) == f"1 label {joined}"
    evaluated = make_answer(question={"evaluated": {("a", "x"): 0.9, ("b", "x"): 0.2}})
    assert basis_words(evaluated) == f"evaluated models {joined}"
    alone = make_zoo(accuracy=np.zeros((0, 3)), sources=(), imagenet=None)
    assert basis_words(make_answer(8, zoo=alone)) == "8 labels alone"
    estimate = make_answer(question={"estimate": np.array([0.5, 0.9, 0.4])})
    choice = Choice(make_selector("consensus"), "chosen by you", None)
    assert basis_words(replace(estimate, choice=choice)) == (
        "the answers of the models on 12 unlabelled images (consensus: chosen by you)"
    )
    shipped = make_answer(zoo=make_zoo(is_shipped=True))
    assert "what 5 of 38 public tasks say (the classifications)" in basis_words(shipped)


@pytest.mark.parametrize(
    ("n_labels", "worth", "line"),
    [
        (1, 1.2, "1 label is worth as many: the unlabelled images add nothing yet."),
        (8, 8.4, "8 labels are worth as many: the unlabelled images add nothing yet."),
        (8, 19.6, "8 labels are worth 20 plain ones, since the models answered on 12 images."),
    ],
)
def test_labels_are_worth_more_plain_ones(n_labels: int, worth: float, line: str) -> None:
    found = replace(make_answer(8).found, n_labels=n_labels, worth=worth)
    assert worth_line(found) == line


def test_what_the_rivals_would_have_said() -> None:
    answer = make_answer()
    # Average rank chooses the third model, and ImageNet the first.
    line = next(line for line in answer_lines(answer) if line.startswith("Average rank"))
    place = answer.found.ranks[0]
    assert line == (
        "Average rank would have said the same. "
        f"ImageNet would have said a/x (here on place {place})."
    )
