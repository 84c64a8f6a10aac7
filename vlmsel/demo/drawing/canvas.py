"""The sheet every demo picture is drawn on: size, colours, font and noise."""

import colorsys
import functools
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]
Drawer = Callable[[str, np.random.Generator], Image.Image]

SIDE = 32
"""Side of a finished picture in pixels."""

SHEET = 96
"""Side of the sheet that is drawn on; it is averaged down to `SIDE`, which smooths the edges."""


def dark(rng: np.random.Generator) -> Colour:
    """Returns a dark colour, for backgrounds."""
    red, green, blue = rng.integers(5, 50, 3).tolist()
    return red, green, blue


def bright(rng: np.random.Generator) -> Colour:
    """Returns a bright colour of any hue, for objects."""
    return hue(rng.uniform(), saturation=rng.uniform(0.2, 1.0), value=rng.uniform(0.8, 1.0))


def hue(angle: float, *, saturation: float = 1.0, value: float = 1.0) -> Colour:
    """Returns the RGB colour of a hue given as a fraction of the colour circle."""
    red, green, blue = (
        round(255 * part) for part in colorsys.hsv_to_rgb(angle % 1.0, saturation, value)
    )
    return red, green, blue


def near(colour: Colour, rng: np.random.Generator, spread: int = 18) -> Colour:
    """Returns a colour close to the given one."""
    shifted = np.clip(np.array(colour) + rng.integers(-spread, spread + 1, 3), 0, 255)
    red, green, blue = shifted.tolist()
    return red, green, blue


def sheet(background: Colour) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Returns a new sheet of one colour and the pen for it."""
    image = Image.new("RGB", (SHEET, SHEET), background)
    return image, ImageDraw.Draw(image)


def finish(image: Image.Image, rng: np.random.Generator, noise: float = 5.0) -> Image.Image:
    """Averages a sheet down to `SIDE` x `SIDE` pixels and adds a little Gaussian noise."""
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    noisy = pixels + rng.normal(0.0, noise, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def polygon(centre: Point, radius: float, corners: int, turn: float = 0.0) -> list[Point]:
    """Returns the corners of a regular polygon; `turn` is in radians, 0 has a corner on top."""
    x, y = centre
    angles = [turn - math.pi / 2 + 2 * math.pi * i / corners for i in range(corners)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def box(centre: Point, radius: float) -> tuple[float, float, float, float]:
    """Returns the square around a circle, in the form that PIL's ellipses and arcs take."""
    x, y = centre
    return x - radius, y - radius, x + radius, y + radius


def turned(points: list[Point], centre: Point, turn: float) -> list[Point]:
    """Returns points around the origin, turned by `turn` radians and moved to a centre."""
    cos, sin = math.cos(turn), math.sin(turn)
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in points]


def middle(rng: np.random.Generator, shift: float) -> Point:
    """Returns a point at most `shift` away from the middle of the sheet along each axis."""
    x, y = SHEET / 2 + rng.uniform(-shift, shift, 2)
    return float(x), float(y)


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns the font that Pillow carries within itself, so that no system font is needed."""
    return ImageFont.load_default(size=size)
