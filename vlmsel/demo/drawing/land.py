"""Land seen from above: patches that look like satellite pictures."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.canvas import SHEET, Colour, Point, box

Land = Callable[[ImageDraw.ImageDraw, np.random.Generator], None]

_GRASS, _FOREST, _SOIL = (80, 115, 55), (25, 65, 35), (125, 95, 60)
_WATER, _ROOF, _ASPHALT, _SAND = (30, 65, 110), (160, 85, 65), (105, 105, 110), (200, 170, 115)


def _fill(pen: ImageDraw.ImageDraw, colour: Colour, rng: np.random.Generator) -> None:
    pen.rectangle((0, 0, SHEET, SHEET), canvas.near(colour, rng, 12))


def _blobs(
    pen: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    colour: Colour,
    *,
    count: int,
    radius: tuple[float, float],
) -> None:
    for x, y in rng.uniform(0, SHEET, (count, 2)).tolist():
        pen.ellipse(box((x, y), rng.uniform(*radius)), canvas.near(colour, rng, 14))


def _path(rng: np.random.Generator, *, bend: float) -> list[Point]:
    """Returns a bent way from one edge of the sheet to the other."""
    turn, centre = rng.uniform(0, math.pi), np.array(canvas.middle(rng, 14))
    along = np.array([math.cos(turn), math.sin(turn)])
    across = np.array([-along[1], along[0]])
    steps, phase = np.linspace(-1, 1, 24), rng.uniform(0, 6)
    points = [centre + 80 * s * along + bend * math.sin(4 * s + phase) * across for s in steps]
    return [(float(x), float(y)) for x, y in points]


def _river(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _GRASS, rng)
    width = int(rng.integers(16, 26))
    pen.line(_path(rng, bend=14), canvas.near(_WATER, rng), width, joint="curve")


def _highway(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _GRASS, rng)
    way = _path(rng, bend=0)
    pen.line(way, _ASPHALT, 20)
    pen.line(way, (225, 225, 210), 4)


def _forest(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _FOREST, rng)
    _blobs(pen, rng, (40, 85, 45), count=60, radius=(3, 8))


def _lake(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _GRASS, rng)
    at, water = canvas.middle(rng, 12), canvas.near(_WATER, rng)
    for _ in range(5):
        x, y = rng.uniform(-11, 11, 2)
        pen.ellipse(box((at[0] + x, at[1] + y), rng.uniform(14, 22)), water)


def _coast(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _SAND, rng)
    turn = rng.uniform(0, 2 * math.pi)
    x, y = canvas.middle(rng, 8)
    reach = 110.0
    at = (x + reach * math.cos(turn), y + reach * math.sin(turn))
    pen.ellipse(box(at, reach + 8), (215, 225, 225))
    pen.ellipse(box(at, reach), canvas.near(_WATER, rng))


def _residential(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _GRASS, rng)
    step = rng.uniform(19, 24)
    for row in np.arange(rng.uniform(2, 8), SHEET, step):
        for column in np.arange(rng.uniform(2, 8), SHEET, step):
            house = (column, row, column + step * 0.55, row + step * 0.5)
            pen.rectangle(house, canvas.near(_ROOF, rng, 25))


def _industrial(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, (90, 90, 85), rng)
    for _ in range(4):
        (x, y), (wide, high) = rng.uniform(-6, 66, 2), rng.uniform(22, 46, 2)
        pen.rectangle((x, y, x + wide, y + high), canvas.near((190, 195, 205), rng, 25))


def _farmland(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _SOIL, rng)
    edges = np.concatenate([[0], np.sort(rng.uniform(0, SHEET, 3)), [SHEET]])
    upright = rng.uniform() < 0.5
    crops = (_GRASS, (165, 150, 70), (110, 140, 60), _SOIL)
    for start, end, crop in zip(edges[:-1], edges[1:], rng.permutation(4), strict=True):
        field = (start, 0, end, SHEET) if upright else (0, start, SHEET, end)
        pen.rectangle(field, canvas.near(crops[crop], rng, 12))


def _desert(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _SAND, rng)
    for _ in range(4):
        pen.line(_path(rng, bend=9), canvas.near((180, 145, 90), rng, 8), 5, joint="curve")


def _orchard(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _fill(pen, _SOIL, rng)
    step = rng.uniform(14, 18)
    for y in np.arange(rng.uniform(2, 9), SHEET, step):
        for x in np.arange(rng.uniform(2, 9), SHEET, step):
            pen.ellipse(box((x, y), step * 0.33), canvas.near(_FOREST, rng, 12))


LANDS: dict[str, Land] = {
    "river": _river,
    "forest": _forest,
    "residential area": _residential,
    "desert": _desert,
    "farmland": _farmland,
    "highway": _highway,
    "lake": _lake,
    "industrial area": _industrial,
    "coast": _coast,
    "orchard": _orchard,
}


def draw_land(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns a patch of land of the kind that the label names, seen from above."""
    image, pen = canvas.sheet(_GRASS)
    LANDS[label](pen, rng)
    return canvas.finish(image, rng, noise=9.0)
