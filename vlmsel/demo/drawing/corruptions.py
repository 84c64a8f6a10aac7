"""Corruptions of finished pictures: simulated shifts that no model saw in training."""

from collections.abc import Callable

import numpy as np
from PIL import Image

Corruption = Callable[[Image.Image, np.random.Generator], Image.Image]

NOISE_DEVIATION = 40.0
"""Standard deviation of the pixel noise, of 255."""

DIMMED_TO = 0.4


def add_noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add Gaussian noise to every value of every pixel."""
    pixels = np.asarray(image, dtype=np.float32)
    return _image(pixels + rng.normal(0.0, NOISE_DEVIATION, pixels.shape))


def dim(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Multiply every value by a fixed share, as in bad light."""
    return _image(np.asarray(image, dtype=np.float32) * DIMMED_TO)


def invert(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Make the negative: a bright background under dark things."""
    return _image(255.0 - np.asarray(image, dtype=np.float32))


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


CORRUPTIONS: dict[str, Corruption] = {"noise": add_noise, "dim": dim, "negative": invert}
