"""Multiple-choice questions about the demo's pictures: what the embedded generative models answer.

    question (text, options, drawer, shift) -> items on demand: picture and number of the answer

Every family of drawn and handwritten pictures has one question; scenes of two figures have two. All
options are one word, and all questions have five, so that a batch of training needs no padding.
A shifted task has the same question: its pictures are corrupted, or its combinations are new.
"""

import functools
import zlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from vlmsel.demo.drawing.corruptions import CORRUPTIONS
from vlmsel.demo.drawing.scenes import SCENE_COLOURS, SCENE_SHAPES, Side, Trait, draw_scene
from vlmsel.demo.families import DemoTask, Split, demo_tasks, draw
from vlmsel.errors import TaskError
from vlmsel.suggest import nearest

Shift = Literal["none", "noise", "dim", "negative", "new"]

FAMILY_TEXTS = {
    "digits": "what digit is this ?",
    "house-numbers": "what number is this ?",
    "letters": "what letter is this ?",
    "shapes": "what shape is this ?",
    "colours": "what colour is this ?",
    "signs": "what sign is this ?",
    "faces": "what mood is this ?",
    "counting": "how many discs here ?",
    "directions": "where does it point ?",
    "textures": "what pattern is this ?",
    "land": "what land is this ?",
    "cells": "what cells are these ?",
}
SCENES: dict[str, tuple[Side, Trait, str]] = {
    "left-shape": ("left", "shape", "what shape is left ?"),
    "right-colour": ("right", "colour", "what colour is right ?"),
}
SHIFTED: dict[Shift, tuple[str, ...]] = {
    "noise": ("counting", "shapes", "colours", "directions", "digits", "letters", "cells"),
    "dim": ("counting", "digits", "faces"),
    "negative": ("counting", "letters", "directions"),
    "new": ("left-shape", "right-colour"),
}


@dataclass(frozen=True)
class DemoQuestion:
    """One task: a question that is the same for all pictures, and its options.

    Attributes:
        name: unique name, `<subject>` or `<subject>-<shift>`.
        subject: family of pictures, or kind of scene.
        text: the question, words and marks parted by spaces.
        options: one word each; an answer is an index into them.
        shift: how the pictures differ from those of training.
    """

    name: str
    subject: str
    text: str
    options: tuple[str, ...]
    shift: Shift = "none"

    def with_shift(self, shift: Shift) -> "DemoQuestion":
        """Return the same question about shifted pictures."""
        return replace(self, name=f"{self.subject}-{shift}", shift=shift)


@functools.cache
def trained_questions() -> tuple[DemoQuestion, ...]:
    """Return the questions that models are trained on: pictures without a shift."""
    families = (
        DemoQuestion(family, family, text, tuple(_word(name) for name in _classnames(family)))
        for family, text in FAMILY_TEXTS.items()
    )
    scenes = (
        DemoQuestion(name, name, text, SCENE_SHAPES if trait == "shape" else SCENE_COLOURS)
        for name, (_, trait, text) in SCENES.items()
    )
    return (*families, *scenes)


@functools.cache
def demo_questions() -> tuple[DemoQuestion, ...]:
    """Return all tasks: the trained questions, then their shifts."""
    by_name = {question.name: question for question in trained_questions()}
    shifted = (
        by_name[name].with_shift(shift) for shift, names in SHIFTED.items() for name in names
    )
    return (*trained_questions(), *shifted)


def demo_question(name: str) -> DemoQuestion:
    """Return the task of that name; raises TaskError if there is none."""
    found = {question.name: question for question in demo_questions()}
    if name not in found:
        hint = nearest(name, found)
        raise TaskError(f"there is no demo question {name!r}{hint}; there are: {', '.join(found)}")
    return found[name]


def draw_items(
    question: DemoQuestion, *, split: Split, n: int, seed: int
) -> tuple[list[Image.Image], list[int]]:
    """Draw pictures of a task with the numbers of their answers.

    Item i has answer i modulo the number of options and its own random stream. Shifted tasks have
    streams of their own: they are no corrupted copies of the pictures without a shift.

    Args:
        question: one of `demo_questions()`.
        split: train and test share no picture.
        n: how many.
        seed: another seed gives other pictures of the same split.

    Raises:
        TaskError: if n or seed is negative.
    """
    if question.subject in FAMILY_TEXTS:
        names = _classnames(question.subject)
        task = DemoTask(question.name, question.subject, names, ())
        images, answers = draw(task, split=split, n=n, seed=seed)
    else:
        images, answers = _draw_scenes(question, split=split, n=n, seed=seed)
    corrupt = CORRUPTIONS.get(question.shift)
    if corrupt is not None:
        stream = _stream(question, "shift", seed)
        images = [
            corrupt(image, np.random.default_rng([*stream, i])) for i, image in enumerate(images)
        ]
    return images, answers


def _draw_scenes(
    question: DemoQuestion, *, split: Split, n: int, seed: int
) -> tuple[list[Image.Image], list[int]]:
    if n < 0 or seed < 0:
        raise TaskError(f"Cannot draw {question.name}: n={n} and seed={seed} must not be negative.")
    side, trait, _ = SCENES[question.subject]
    stream = _stream(question, split, seed)
    answers = [i % len(question.options) for i in range(n)]
    images = [
        draw_scene(
            side,
            trait,
            question.options[answer],
            np.random.default_rng([*stream, i]),
            is_new=question.shift == "new",
        )
        for i, answer in enumerate(answers)
    ]
    return images, answers


def _stream(question: DemoQuestion, purpose: str, seed: int) -> list[int]:
    return [zlib.crc32(question.name.encode()), zlib.crc32(purpose.encode()), seed]


def _classnames(family: str) -> tuple[str, ...]:
    """Return the classes of both twins."""
    twins = (task.classnames for task in demo_tasks() if task.family == family)
    return tuple(name for classnames in twins for name in classnames)


def _word(classname: str) -> str:
    return classname.replace(" ", "-")
