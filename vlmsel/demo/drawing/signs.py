"""Traffic signs, in front of a street-like background of two dull colours."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.canvas import SHEET, Point, box, polygon, turned

Sign = Callable[[ImageDraw.ImageDraw, Point, float], None]

_RED, _BLUE, _WHITE = (200, 25, 30), (25, 70, 190), (240, 240, 240)
_YELLOW, _BLACK = (245, 200, 30), (15, 15, 15)


def _stop(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.polygon(polygon(at, radius, 8, math.pi / 8), _RED)
    pen.text(at, "STOP", _WHITE, canvas.font(int(radius * 0.66)), anchor="mm")


def _yield(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.polygon(polygon(at, radius * 1.1, 3, math.pi), _RED)
    pen.polygon(polygon(at, radius * 0.6, 3, math.pi), _WHITE)


def _no_entry(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.ellipse(box(at, radius), _RED)
    pen.rectangle(
        (at[0] - radius * 0.7, at[1] - radius * 0.2, at[0] + radius * 0.7, at[1] + radius * 0.2),
        _WHITE,
    )


def _warning(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.polygon(polygon(at, radius * 1.1, 3), _RED)
    pen.polygon(polygon(at, radius * 0.72, 3), _WHITE)
    pen.text(at, "!", _BLACK, canvas.font(int(radius * 0.9)), anchor="mm")


def _priority(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.polygon(polygon(at, radius * 1.1, 4), _WHITE)
    pen.polygon(polygon(at, radius * 0.8, 4), _YELLOW)


def _speed_limit(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.ellipse(box(at, radius), _WHITE, _RED, int(radius * 0.22))
    pen.text(at, "50", _BLACK, canvas.font(int(radius * 0.95)), anchor="mm")


def _parking(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.rounded_rectangle(box(at, radius * 0.9), radius * 0.15, _BLUE)
    pen.text(at, "P", _WHITE, canvas.font(int(radius * 1.5)), anchor="mm")


def _arrow(direction: int) -> Sign:
    def sign(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
        pen.ellipse(box(at, radius), _BLUE)
        outline = [(-0.7, -0.15), (0.0, -0.15), (0.0, -0.5), (0.75, 0.0), (0.0, 0.5), (0.0, 0.15)]
        outline.append((-0.7, 0.15))
        points = [(direction * radius * x, radius * y) for x, y in outline]
        pen.polygon(turned(points, at, 0.0), _WHITE)

    return sign


def _end_of_limits(pen: ImageDraw.ImageDraw, at: Point, radius: float) -> None:
    pen.ellipse(box(at, radius), _WHITE, _BLACK, 3)
    slant = radius * 0.65
    ends = (at[0] - slant, at[1] + slant, at[0] + slant, at[1] - slant)
    pen.line(ends, _BLACK, int(radius * 0.3))


SIGNS: dict[str, Sign] = {
    "stop": _stop,
    "warning": _warning,
    "parking": _parking,
    "turn left": _arrow(-1),
    "speed limit": _speed_limit,
    "yield": _yield,
    "no entry": _no_entry,
    "priority road": _priority,
    "turn right": _arrow(1),
    "end of limits": _end_of_limits,
}


def draw_sign(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns one traffic sign in front of a dull sky and ground."""
    image, pen = canvas.sheet(canvas.near((50, 60, 75), rng, 20))
    horizon = rng.uniform(50, 80)
    pen.rectangle((0, horizon, SHEET, SHEET), canvas.near((55, 60, 40), rng, 20))
    at, radius = canvas.middle(rng, 12), rng.uniform(28, 38)
    pen.rectangle((at[0] - 3, at[1], at[0] + 3, SHEET), canvas.near((110, 110, 110), rng))
    SIGNS[label](pen, at, radius)
    light = rng.uniform(0.7, 1.0)
    dimmed = image.point(lambda value: value * light)
    return canvas.finish(dimmed, rng)
