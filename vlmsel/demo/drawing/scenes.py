"""Scenes of two coloured figures side by side; some combinations are never shown in training."""

from typing import Literal

import numpy as np
from PIL import Image

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.shapes import COLOURS, FIGURES

Side = Literal["left", "right"]
Trait = Literal["shape", "colour"]

SCENE_SHAPES = ("circle", "triangle", "star", "ring", "square", "cross")
SCENE_COLOURS = ("red", "green", "blue", "yellow", "purple", "white")


def is_held_out(shape: str, colour: str) -> bool:
    """Tell whether no training picture shows this shape in this colour: one colour per shape."""
    place = SCENE_SHAPES.index(shape) + SCENE_COLOURS.index(colour)
    return place % len(SCENE_COLOURS) == 0


def draw_scene(
    side: Side, trait: Trait, label: str, rng: np.random.Generator, *, is_new: bool = False
) -> Image.Image:
    """Draw two figures, of which the one on `side` has the trait that the label names.

    Args:
        side: of the figure that is asked for.
        trait: shape or colour.
        label: the value of the trait.
        rng: decides everything else.
        is_new: the figure that is asked for is a held-out combination; otherwise none is.
    """
    image, pen = canvas.sheet(canvas.dark(rng))
    for x, place in ((25.0, "left"), (71.0, "right")):
        wanted = label if place == side else None
        shape, colour = draw_combination(trait, wanted, rng, is_new=is_new and place == side)
        shift_x, shift_y = rng.uniform(-3, 3), rng.uniform(-18, 18)
        at = (x + float(shift_x), canvas.SHEET / 2 + float(shift_y))
        fill = canvas.near(COLOURS[colour], rng)
        FIGURES[shape](pen, at, rng.uniform(15, 20), rng.uniform(-0.25, 0.25), fill)
    return canvas.finish(image, rng)


def draw_combination(
    trait: Trait, label: str | None, rng: np.random.Generator, *, is_new: bool
) -> tuple[str, str]:
    """Draw a shape and a colour, one of them given by the label where there is one."""
    allowed = [
        (shape, colour)
        for shape in SCENE_SHAPES
        for colour in SCENE_COLOURS
        if is_held_out(shape, colour) == is_new
        and label in (None, shape if trait == "shape" else colour)
    ]
    return allowed[int(rng.integers(len(allowed)))]
