"""Real handwriting: scikit-learn's 8x8 digits, tinted, enlarged and split into train and test."""

import functools

import numpy as np
from PIL import Image

from vlmsel.demo.drawing import canvas

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEST_PER_CLASS = 60
"""So many handwritten pictures of each class are kept for the test split and never trained on."""


@functools.cache
def _pictures() -> dict[str, np.ndarray]:
    """Returns the digits by name, each as pictures x 8 x 8 with values from 0 to 1."""
    from sklearn.datasets import load_digits

    pixels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    pictures = pixels.reshape(-1, 8, 8) / 16.0
    return {name: pictures[labels == i] for i, name in enumerate(DIGITS)}


def draw_train(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns a handwritten digit from the train split."""
    return _tinted(_pictures()[label][TEST_PER_CLASS:], rng)


def draw_test(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns a handwritten digit from the test split."""
    return _tinted(_pictures()[label][:TEST_PER_CLASS], rng)


def _tinted(pictures: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Picks one picture, enlarges it, and gives paper and ink a colour."""
    strokes = Image.fromarray((pictures[rng.integers(len(pictures))] * 255).astype(np.uint8))
    side = int(rng.integers(66, 94))
    strokes = strokes.resize((side, side), Image.Resampling.BICUBIC)
    image, _ = canvas.sheet(canvas.dark(rng))
    x, y = rng.integers(0, canvas.SHEET - side + 1, 2).tolist()
    image.paste(Image.new("RGB", strokes.size, canvas.bright(rng)), (x, y), strokes)
    return canvas.finish(image, rng)
