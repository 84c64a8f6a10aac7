"""Plain figures: shapes of any colour, and colours of any shape."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.canvas import Colour, Point, box, polygon, turned

Figure = Callable[[ImageDraw.ImageDraw, Point, float, float, Colour], None]


def _circle(pen: ImageDraw.ImageDraw, at: Point, radius: float, _: float, fill: Colour) -> None:
    pen.ellipse(box(at, radius), fill)


def _ring(pen: ImageDraw.ImageDraw, at: Point, radius: float, _: float, fill: Colour) -> None:
    pen.ellipse(box(at, radius), outline=fill, width=int(radius / 3))


def _crescent(
    pen: ImageDraw.ImageDraw, at: Point, radius: float, turn: float, fill: Colour
) -> None:
    outer = [(math.cos(a), math.sin(a)) for a in np.linspace(0.6, 2 * math.pi - 0.6, 30)]
    inner = [(0.55 + 0.62 * math.cos(a), 0.62 * math.sin(a)) for a in np.linspace(5.1, 1.2, 20)]
    points = [(radius * x, radius * y) for x, y in outer + inner]
    pen.polygon(turned(points, at, turn), fill)


def _regular(corners: int) -> Figure:
    def figure(
        pen: ImageDraw.ImageDraw, at: Point, radius: float, turn: float, fill: Colour
    ) -> None:
        pen.polygon(polygon(at, radius, corners, turn), fill)

    return figure


def _square(pen: ImageDraw.ImageDraw, at: Point, radius: float, turn: float, fill: Colour) -> None:
    pen.polygon(polygon(at, radius, 4, turn + math.pi / 4), fill)


def _diamond(pen: ImageDraw.ImageDraw, at: Point, radius: float, turn: float, fill: Colour) -> None:
    points = [(0.0, -radius), (0.55 * radius, 0.0), (0.0, radius), (-0.55 * radius, 0.0)]
    pen.polygon(turned(points, at, turn), fill)


def _star(pen: ImageDraw.ImageDraw, at: Point, radius: float, turn: float, fill: Colour) -> None:
    tips = polygon(at, radius, 5, turn)
    dents = polygon(at, 0.42 * radius, 5, turn + math.pi / 5)
    pen.polygon([point for pair in zip(tips, dents, strict=True) for point in pair], fill)


def _cross(pen: ImageDraw.ImageDraw, at: Point, radius: float, turn: float, fill: Colour) -> None:
    long, short = radius, 0.32 * radius
    for half_width, half_height in ((long, short), (short, long)):
        corners = [
            (-half_width, -half_height),
            (half_width, -half_height),
            (half_width, half_height),
            (-half_width, half_height),
        ]
        pen.polygon(turned(corners, at, turn), fill)


def _heart(pen: ImageDraw.ImageDraw, at: Point, radius: float, turn: float, fill: Colour) -> None:
    points = []
    for a in np.linspace(0, 2 * math.pi, 40):
        across = 16 * math.sin(a) ** 3
        up = 13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)
        points.append((radius * across / 16, -radius * up / 16))
    pen.polygon(turned(points, at, turn), fill)


FIGURES: dict[str, Figure] = {
    "circle": _circle,
    "triangle": _regular(3),
    "star": _star,
    "ring": _ring,
    "heart": _heart,
    "square": _square,
    "cross": _cross,
    "hexagon": _regular(6),
    "diamond": _diamond,
    "crescent": _crescent,
}

COLOURS: dict[str, Colour] = {
    "red": (215, 30, 35),
    "green": (30, 165, 50),
    "blue": (35, 60, 215),
    "yellow": (240, 220, 40),
    "pink": (250, 140, 190),
    "orange": (245, 130, 20),
    "purple": (130, 35, 160),
    "white": (240, 240, 240),
    "brown": (125, 75, 35),
    "cyan": (50, 210, 220),
}


def draw_shape(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns one filled figure of a random bright colour, slightly turned."""
    image, pen = canvas.sheet(canvas.dark(rng))
    at, radius = canvas.middle(rng, 12), rng.uniform(26, 36)
    FIGURES[label](pen, at, radius, rng.uniform(-0.25, 0.25), canvas.bright(rng))
    return canvas.finish(image, rng)


def draw_colour(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns some grey figures and, in front of them, one in the colour that is asked for."""
    image, pen = canvas.sheet(canvas.dark(rng))
    figures = list(FIGURES.values())
    for _ in range(2):
        grey = int(rng.integers(60, 130))
        at = canvas.middle(rng, 40)
        _any_figure(figures, rng)(pen, at, rng.uniform(10, 18), 0.0, (grey, grey, grey))
    at, turn = canvas.middle(rng, 22), rng.uniform(0, 6)
    fill = canvas.near(COLOURS[label], rng)
    _any_figure(figures, rng)(pen, at, rng.uniform(20, 30), turn, fill)
    return canvas.finish(image, rng)


def _any_figure(figures: list[Figure], rng: np.random.Generator) -> Figure:
    return figures[int(rng.integers(len(figures)))]
