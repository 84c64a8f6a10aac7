"""Notes of an answer: every gap in what is known has its line, and nothing else has one."""

from dataclasses import replace

import numpy as np

from tests.api.hand_answers import ORDER, make_answer, make_answers, make_target, make_zoo
from vlmsel.api.answer_notes import describe_answer, describe_draw, describe_labels
from vlmsel.api.answer_options import AnswerOptions
from vlmsel.selection.label_draw import draw_labels
from vlmsel.tasks.label_tables import OUTSIDE


def describe(n_labels: int = 0, n_eligible: int = 3, **changes: object) -> list[str]:
    answer = make_answer(n_labels, **changes)
    return describe_answer(answer.found, answer.target_labels, answer.draw, n_eligible)


def test_labels_of_class_folders_are_told(tmp_path) -> None:
    assert describe_labels(make_target(4), AnswerOptions()) == []
    folders = make_target(4, from_folders=True, is_sorted=True)
    start = "class folders: their names are the 2 classes, their labels"
    sample = "count as a random sample (--ignore-labels takes none)"
    assert describe_labels(folders, AnswerOptions()) == [f"{start} {sample}"]
    ignored = AnswerOptions(ignore_labels=True)
    assert describe_labels(folders, ignored) == [f"{start} are ignored"]
    file = tmp_path / "labels.csv"
    beside = replace(folders, is_sorted=False)
    notes = describe_labels(beside, AnswerOptions(labels=file))
    assert notes == [f"{start} give way to those of {file}"]


def test_labels_that_do_not_count_are_told() -> None:
    target = make_target(12)
    assert describe_draw(draw_labels(ORDER, target.labels), target, make_answers()) == []
    some = {image: 0 for image in (ORDER[0], ORDER[2], ORDER[5], "beyond.png")}
    target = make_target(labels=some)
    notes = describe_draw(draw_labels(ORDER, some), target, None)
    assert [note.partition(":")[0] for note in notes] == [
        "1 label is of images beyond the 12 looked at",
        "2 labels are not used",
        "no model was run on the images, so labels say nothing yet",
    ]
    assert f"the first gap is {ORDER[1]}" in notes[1]


def test_an_answer_that_lacks_nothing_has_no_note() -> None:
    assert describe(8) == []


def test_labels_that_tell_little_are_told() -> None:
    assert describe(1) == ["one label says next to nothing; the first check is at 5"]
    answer = make_answer(8)
    target = replace(answer.target_labels, labels=dict.fromkeys(ORDER[:8], 1))
    (note,) = describe_answer(answer.found, target, answer.draw, 3)
    assert note.startswith("all 8 labels are of one class, 'dog': they tell how often")
    outside = make_target(labels={ORDER[0]: OUTSIDE, ORDER[1]: 0, ORDER[2]: 1})
    found = replace(answer.found, n_outside=2)
    notes = describe_answer(found, outside, draw_labels(ORDER, outside.labels), 3)
    assert notes == ["2 labelled images are in none of the classes and dropped"]


def test_models_without_a_place_are_counted_with_the_reason() -> None:
    unknown = make_zoo(accuracy=make_zoo().accuracy * [1, 1, np.nan])
    lack = "no source task knows their accuracy"
    assert describe(zoo=unknown) == [f"1 model has no place in the ranking: {lack}"]
    estimate = np.array([0.5, np.nan, np.nan])
    lack = "they were not run on the images, or gave no answer"
    notes = describe(question={"estimate": estimate})
    assert notes == [f"2 models have no place in the ranking: {lack}"]


def test_few_sources_are_told() -> None:
    alone = make_zoo(accuracy=np.zeros((0, 3)), sources=(), imagenet=None)
    assert describe(8, zoo=alone) == ["fewer than 2 source tasks: the labels alone rank"]
