"""Pictures of number and direction: how many things there are, and which way they point."""

import math

import numpy as np
from PIL import Image

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.canvas import SHEET, Point, box, turned

COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight")

DIRECTIONS: dict[str, float] = {
    "up": -math.pi / 2,
    "right": 0.0,
    "lower left": 3 * math.pi / 4,
    "upper left": -3 * math.pi / 4,
    "down": math.pi / 2,
    "left": math.pi,
    "upper right": -math.pi / 4,
    "lower right": math.pi / 4,
}


def draw_count(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns as many separate discs of one colour as the label says."""
    image, pen = canvas.sheet(canvas.dark(rng))
    fill = canvas.bright(rng)
    for at in _apart(COUNTS.index(label) + 1, rng):
        pen.ellipse(box(at, 9.0), fill)
    return canvas.finish(image, rng)


def _apart(count: int, rng: np.random.Generator) -> list[Point]:
    """Returns points in different squares of a 3 x 3 grid, so that discs never touch."""
    squares = rng.permutation(9)[:count]
    step = SHEET / 3
    places = np.stack([squares % 3, squares // 3], axis=1) * step + step / 2
    return [(float(x), float(y)) for x, y in places + rng.uniform(-5, 5, places.shape)]


def draw_direction(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns an arrow that points the way the label says."""
    image, pen = canvas.sheet(canvas.dark(rng))
    size = rng.uniform(28, 40)
    outline = [(-1.0, -0.18), (0.1, -0.18), (0.1, -0.6), (1.0, 0.0), (0.1, 0.6), (0.1, 0.18)]
    outline.append((-1.0, 0.18))
    turn = DIRECTIONS[label] + rng.uniform(-0.15, 0.15)
    points = [(size * x, size * y) for x, y in outline]
    pen.polygon(turned(points, canvas.middle(rng, 12), turn), canvas.bright(rng))
    return canvas.finish(image, rng)
