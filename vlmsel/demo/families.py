"""The demo tasks: twelve families of labelled pictures, each split by class into two twins.

    family (classes, captions, drawer) -> tasks `<family>-a` and `<family>-b` -> pictures on demand

Twins share look and skill and have no class in common, so every task has one source task that a
good measure of task similarity ought to find.
"""

import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from vlmsel.demo.drawing import (
    faces,
    handwriting,
    land,
    microscopy,
    shapes,
    signs,
    space,
    symbols,
    textures,
)
from vlmsel.demo.drawing.canvas import Drawer
from vlmsel.errors import TaskError
from vlmsel.suggest import nearest

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DemoTask:
    """One zero-shot classification task.

    Attributes:
        name: unique name, `<family>-a` or `<family>-b`.
        family: name that the task shares with its twin.
        classnames: the classes; a label is an index into them.
        templates: captions with one `{}` for the class name.
    """

    name: str
    family: str
    classnames: tuple[str, ...]
    templates: tuple[str, ...]


@dataclass(frozen=True)
class _Family:
    """All classes of one look; the first half of them makes twin a, the rest twin b."""

    name: str
    classnames: tuple[str, ...]
    templates: tuple[str, ...]
    drawers: Mapping[Split, Drawer]

    def tasks(self) -> tuple[DemoTask, DemoTask]:
        """Returns the two twins."""
        half = len(self.classnames) // 2
        return (
            DemoTask(f"{self.name}-a", self.name, self.classnames[:half], self.templates),
            DemoTask(f"{self.name}-b", self.name, self.classnames[half:], self.templates),
        )


def _for_both(drawer: Drawer) -> dict[Split, Drawer]:
    """Returns a drawer for both splits, which then differ by the random stream alone."""
    return {"train": drawer, "test": drawer}


_FAMILIES = (
    _Family(
        "digits",
        handwriting.DIGITS,
        ("a handwritten digit {}.", "a photo of the number {}, written by hand.", "the digit {}."),
        {"train": handwriting.draw_train, "test": handwriting.draw_test},
    ),
    _Family(
        "house-numbers",
        handwriting.DIGITS,
        ("a house number {}.", "a street sign of the number {}.", "a printed {} on a house."),
        _for_both(symbols.draw_house_number),
    ),
    _Family(
        "letters",
        ("a", "c", "h", "k", "m", "t", "b", "e", "r", "s", "w", "x"),
        ("the letter {}.", "a printed letter {}.", "a capital letter {}."),
        _for_both(symbols.draw_letter),
    ),
    _Family(
        "shapes",
        tuple(shapes.FIGURES),
        ("the shape of a {}.", "a drawing of a {}.", "one {}."),
        _for_both(shapes.draw_shape),
    ),
    _Family(
        "colours",
        tuple(shapes.COLOURS),
        ("a {} thing.", "an object of the colour {}.", "something {}."),
        _for_both(shapes.draw_colour),
    ),
    _Family(
        "signs",
        tuple(signs.SIGNS),
        ("a {} traffic sign.", "a photo of a {} sign.", "a road sign: {}."),
        _for_both(signs.draw_sign),
    ),
    _Family(
        "faces",
        tuple(faces.LOOKS),
        ("a {} face.", "a photo of a {} person.", "a face that looks {}."),
        _for_both(faces.draw_face),
    ),
    _Family(
        "counting",
        # Odd counts against even ones, so that neither twin is the easy one.
        space.COUNTS[0::2] + space.COUNTS[1::2],
        ("a picture with {} dots.", "{} discs.", "a count of {} things."),
        _for_both(space.draw_count),
    ),
    _Family(
        "directions",
        tuple(space.DIRECTIONS),
        ("an arrow that points {}.", "an arrow to the {}.", "a way to go: {}."),
        _for_both(space.draw_direction),
    ),
    _Family(
        "textures",
        tuple(textures.PATTERNS),
        ("a {} texture.", "a {} surface.", "a photo of a {} pattern."),
        _for_both(textures.draw_texture),
    ),
    _Family(
        "land",
        tuple(land.LANDS),
        ("a satellite photo of a {}.", "a {} from above.", "an aerial view of a {}."),
        _for_both(land.draw_land),
    ),
    _Family(
        "cells",
        tuple(microscopy.CELLS),
        ("{} cells.", "a photo of {} cells under a microscope.", "a microscope view: {} cells."),
        _for_both(microscopy.draw_cells),
    ),
)


@functools.cache
def demo_tasks() -> tuple[DemoTask, ...]:
    """Returns all demo tasks, twins side by side."""
    return tuple(task for family in _FAMILIES for task in family.tasks())


def draw(task: DemoTask, *, split: Split, n: int, seed: int) -> tuple[list[Image.Image], list[int]]:
    """Draws labelled pictures of a task.

    Picture i has class i modulo the number of classes and its own random stream, so classes are
    balanced and the first pictures do not depend on how many are asked for.

    Args:
        task: one of `demo_tasks()`.
        split: train and test share no picture; handwriting is really split, the rest drawn anew.
        n: how many pictures.
        seed: another seed gives other pictures of the same split.

    Returns:
        The pictures (32x32, RGB) and their labels.

    Raises:
        TaskError: if n or seed is negative.
    """
    if n < 0 or seed < 0:
        raise TaskError(f"Cannot draw {task.name}: n={n} and seed={seed} must not be negative.")
    drawer = _drawers(task.family)[split]
    labels = [i % len(task.classnames) for i in range(n)]
    stream = [zlib.crc32(task.name.encode()), zlib.crc32(split.encode()), seed]
    images = [
        drawer(task.classnames[label], np.random.default_rng([*stream, i]))
        for i, label in enumerate(labels)
    ]
    return images, labels


def demo_task(name: str) -> DemoTask:
    """Returns the demo task of that name; raises TaskError if there is none."""
    found = {task.name: task for task in demo_tasks()}
    if name not in found:
        hint = nearest(name, found)
        raise TaskError(f"there is no demo task {name!r}{hint}; there are: {', '.join(found)}")
    return found[name]


def _drawers(family: str) -> Mapping[Split, Drawer]:
    return next(known.drawers for known in _FAMILIES if known.name == family)
