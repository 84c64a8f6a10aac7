"""Cells under a microscope: a stained field with a few cells of one kind."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.canvas import SHEET, Colour, Point, box, polygon, turned

Cell = Callable[[ImageDraw.ImageDraw, Point, np.random.Generator, Colour], None]

_NUCLEUS = (75, 35, 105)


def _round(pen: ImageDraw.ImageDraw, at: Point, rng: np.random.Generator, stain: Colour) -> None:
    pen.ellipse(box(at, rng.uniform(13, 17)), stain)


def _nucleated(pen: ImageDraw.ImageDraw, at: Point, _: np.random.Generator, stain: Colour) -> None:
    pen.ellipse(box(at, 17), stain)
    pen.ellipse(box(at, 8), _NUCLEUS)


def _rod(pen: ImageDraw.ImageDraw, at: Point, rng: np.random.Generator, stain: Colour) -> None:
    turn = rng.uniform(0, math.pi)
    start, end = turned([(-15.0, 0.0), (15.0, 0.0)], at, turn)
    pen.line((*start, *end), stain, 11)
    pen.ellipse(box(start, 5), stain)
    pen.ellipse(box(end, 5), stain)


def _spiky(pen: ImageDraw.ImageDraw, at: Point, rng: np.random.Generator, stain: Colour) -> None:
    for tip in polygon(at, 19, 8, rng.uniform(0, 1)):
        pen.line((*at, *tip), stain, 4)
    pen.ellipse(box(at, 10), stain)


def _sickle(pen: ImageDraw.ImageDraw, at: Point, rng: np.random.Generator, stain: Colour) -> None:
    start = rng.uniform(0, 360)
    pen.arc(box(at, 18), start, start + 150, stain, 9)


def _dividing(pen: ImageDraw.ImageDraw, at: Point, rng: np.random.Generator, stain: Colour) -> None:
    for half in turned([(-9.0, 0.0), (9.0, 0.0)], at, rng.uniform(0, math.pi)):
        pen.ellipse(box(half, 11), stain)
        pen.ellipse(box(half, 4), _NUCLEUS)


def _hollow(pen: ImageDraw.ImageDraw, at: Point, _: np.random.Generator, stain: Colour) -> None:
    pen.ellipse(box(at, 17), outline=stain, width=6)


def _clumped(pen: ImageDraw.ImageDraw, at: Point, rng: np.random.Generator, stain: Colour) -> None:
    for x, y in rng.uniform(-12, 12, (7, 2)).tolist():
        pen.ellipse(box((at[0] + x, at[1] + y), 5), stain)


CELLS: dict[str, Cell] = {
    "round": _round,
    "dividing": _dividing,
    "spiky": _spiky,
    "hollow": _hollow,
    "nucleated": _nucleated,
    "rod shaped": _rod,
    "sickle shaped": _sickle,
    "clumped": _clumped,
}


def draw_cells(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns a dark field with three cells of the kind that the label names."""
    image, pen = canvas.sheet(canvas.near((45, 20, 40), rng, 10))
    stain = canvas.near((225, 140, 185), rng, 22)
    corners = rng.permutation(4)[:3]
    for corner in corners:
        middle = np.array([corner % 2, corner // 2]) * SHEET / 2 + SHEET / 4
        x, y = middle + rng.uniform(-5, 5, 2)
        CELLS[label](pen, (float(x), float(y)), rng, canvas.near(stain, rng, 8))
    return canvas.finish(image, rng)
