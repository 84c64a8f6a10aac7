"""Drawn faces whose eyes, brows and mouth show an emotion."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.canvas import Point, box

_SKINS = ((250, 215, 60), (245, 205, 170), (205, 150, 105), (150, 100, 65))
_INK = (25, 15, 15)


@dataclass(frozen=True)
class Look:
    """Expression of a face: its mouth, its two eyes and the slant of its brows (up is anger)."""

    mouth: Literal["smile", "frown", "line", "round", "laugh", "slant"]
    eyes: tuple[Literal["open", "shut", "wide"], Literal["open", "shut", "wide"]] = ("open", "open")
    brows: float = 0.0


LOOKS: dict[str, Look] = {
    "happy": Look("smile"),
    "angry": Look("frown", brows=0.16),
    "surprised": Look("round", eyes=("wide", "wide")),
    "sleepy": Look("line", eyes=("shut", "shut")),
    "sad": Look("frown", brows=-0.16),
    "laughing": Look("laugh", eyes=("shut", "shut")),
    "winking": Look("smile", eyes=("open", "shut")),
    "doubtful": Look("slant", brows=0.08),
}


def draw_face(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns a round face with the emotion that the label names."""
    image, pen = canvas.sheet(canvas.dark(rng))
    at, radius = canvas.middle(rng, 7), rng.uniform(34, 42)
    skin = canvas.near(_SKINS[rng.integers(len(_SKINS))], rng)
    pen.ellipse(box(at, radius), skin)
    look = LOOKS[label]
    for side, eye in zip((-1, 1), look.eyes, strict=True):
        _eye(pen, (at[0] + side * radius * 0.4, at[1] - radius * 0.2), radius, eye)
        if look.brows:
            _brow(pen, at, radius, side, look.brows)
    _mouth(pen, (at[0], at[1] + radius * 0.42), radius, look.mouth)
    return canvas.finish(image, rng)


def _eye(pen: ImageDraw.ImageDraw, at: Point, radius: float, kind: str) -> None:
    """Draws one eye: a dot, a line, or a white eyeball with a dot."""
    if kind == "shut":
        pen.line((at[0] - radius * 0.22, at[1], at[0] + radius * 0.22, at[1]), _INK, 5)
        return
    if kind == "wide":
        pen.ellipse(box(at, radius * 0.25), (250, 250, 250))
    pen.ellipse(box(at, radius * 0.13), _INK)


def _brow(pen: ImageDraw.ImageDraw, at: Point, radius: float, side: int, slant: float) -> None:
    """Draws one brow; a positive slant lowers its inner end."""
    inner = (at[0] + side * radius * 0.16, at[1] - radius * (0.5 - slant))
    outer = (at[0] + side * radius * 0.66, at[1] - radius * (0.5 + slant))
    pen.line((*inner, *outer), _INK, 6)


def _mouth(pen: ImageDraw.ImageDraw, at: Point, radius: float, kind: str) -> None:
    """Draws the mouth around the point that is given."""
    x, y, half = at[0], at[1], radius * 0.42
    if kind == "smile":
        pen.arc((x - half, y - half, x + half, y + half * 0.6), 15, 165, _INK, 6)
    elif kind == "frown":
        pen.arc((x - half, y - half * 0.3, x + half, y + half * 1.3), 195, 345, _INK, 6)
    elif kind == "line":
        pen.line((x - half * 0.7, y, x + half * 0.7, y), _INK, 6)
    elif kind == "round":
        pen.ellipse(box(at, half * 0.55), _INK)
    elif kind == "laugh":
        pen.chord((x - half, y - half, x + half, y + half), 0, 180, (250, 250, 250), _INK, 4)
    else:
        pen.line((x - half * 0.8, y + half * 0.35, x + half * 0.8, y - half * 0.35), _INK, 6)
