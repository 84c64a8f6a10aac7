"""Surfaces that fill the whole picture with one pattern in two colours."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.canvas import SIDE

Pattern = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""Coordinates in periods of the pattern, across and down, to the amount of ink from 0 to 1."""


def _striped(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = rng.uniform(0, math.pi)
    return np.sin(2 * math.pi * (x * math.cos(turn) + y * math.sin(turn))) > 0


def _dotted(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.3


def _checkered(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return (np.floor(2 * x) + np.floor(2 * y)) % 2 > 0


def _gridded(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return (x % 1 < 0.22) | (y % 1 < 0.22)


def _zigzagged(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return (y + np.abs(x % 1 - 0.5)) % 0.7 < 0.3


def _bricked(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    row = np.floor(2 * y)
    return (2 * y % 1 > 0.3) & ((x + 0.5 * (row % 2)) % 1 > 0.16)


def _speckled(x: np.ndarray, _: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(size=x.shape) > 0.6


def _ringed(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.hypot(x - x.mean(), y - y.mean()) % 0.8 < 0.4


def _clouded(x: np.ndarray, _: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(rng.uniform(0, 255, (6, 6)).astype(np.uint8))
    return np.asarray(coarse.resize(x.shape[::-1], Image.Resampling.BICUBIC)) / 255.0


def _rayed(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.sin(9 * np.arctan2(y - y.mean(), x - x.mean())) > 0


PATTERNS: dict[str, Pattern] = {
    "striped": _striped,
    "dotted": _dotted,
    "bricked": _bricked,
    "speckled": _speckled,
    "rayed": _rayed,
    "checkered": _checkered,
    "zigzagged": _zigzagged,
    "ringed": _ringed,
    "clouded": _clouded,
    "gridded": _gridded,
}


def draw_texture(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns a surface with the pattern that the label names, at a random scale."""
    pixels_a_period = rng.uniform(7, 10)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / pixels_a_period
    shift_x, shift_y = rng.uniform(0, 1, 2)
    ink = PATTERNS[label](x + shift_x, y + shift_y, rng)[..., None].astype(np.float32)
    pixels = (1 - ink) * np.array(canvas.dark(rng)) + ink * np.array(canvas.bright(rng))
    return canvas.finish(Image.fromarray(pixels.astype(np.uint8)), rng)
