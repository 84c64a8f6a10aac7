"""The demo tasks: stable, balanced, split, and in twins."""

from itertools import groupby

import numpy as np
import pytest

from vlmsel.demo.drawing import handwriting
from vlmsel.demo.families import DemoTask, demo_task, demo_tasks, draw
from vlmsel.errors import TaskError

TASKS = demo_tasks()


def pixels(task: DemoTask, split: str, *, n: int = 20, seed: int = 0) -> list[bytes]:
    return [image.tobytes() for image in draw(task, split=split, n=n, seed=seed)[0]]


def test_there_are_ten_families_of_twins_or_more():
    families = {family: list(group) for family, group in groupby(TASKS, lambda t: t.family)}
    assert len(families) >= 10
    assert all(len(twins) == 2 for twins in families.values())
    assert len({task.name for task in TASKS}) == len(TASKS)


@pytest.mark.parametrize("first", TASKS[::2], ids=lambda task: task.family)
def test_twins_share_captions_and_no_class(first: DemoTask):
    second = TASKS[TASKS.index(first) + 1]
    assert first.templates == second.templates
    assert not set(first.classnames) & set(second.classnames)
    assert min(len(first.classnames), len(second.classnames)) >= 4


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_pictures_depend_on_task_split_and_seed_alone(task: DemoTask):
    again = pixels(task, "test")
    assert pixels(task, "test") == again
    assert pixels(task, "test", n=7) == again[:7]
    assert not set(again) & set(pixels(task, "test", seed=1))
    assert not set(again) & set(pixels(task, "train"))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_pictures_are_rgb_squares_of_32_and_classes_are_balanced(task: DemoTask):
    images, labels = draw(task, split="test", n=22, seed=0)
    assert {(image.size, image.mode) for image in images} == {((32, 32), "RGB")}
    counts = np.bincount(labels, minlength=len(task.classnames))
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_template_takes_a_class(task: DemoTask):
    assert all(template.count("{}") == 1 for template in task.templates)


def test_handwriting_is_split_before_it_is_drawn():
    for name in handwriting.DIGITS:
        all_of_class = handwriting._pictures()[name]
        test = {picture.tobytes() for picture in all_of_class[: handwriting.TEST_PER_CLASS]}
        train = {picture.tobytes() for picture in all_of_class[handwriting.TEST_PER_CLASS :]}
        assert len(test) == handwriting.TEST_PER_CLASS
        assert len(train) > handwriting.TEST_PER_CLASS
        assert not test & train


@pytest.mark.parametrize(("n", "seed"), [(-1, 0), (1, -1)])
def test_negative_numbers_are_refused(n: int, seed: int):
    with pytest.raises(TaskError, match="must not be negative"):
        draw(TASKS[0], split="test", n=n, seed=seed)


def test_an_unknown_task_is_named_with_the_known_ones():
    with pytest.raises(TaskError, match=r"no demo task 'cats'.*digits-a"):
        demo_task("cats")
