"""Printed symbols: letters, and house numbers between the edges of their neighbours."""

import numpy as np
from PIL import Image

from vlmsel.demo.drawing import canvas
from vlmsel.demo.drawing.handwriting import DIGITS


def draw_letter(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns one capital letter, slightly turned; the label is the letter itself."""
    ground = canvas.dark(rng)
    image, pen = canvas.sheet(ground)
    size = int(rng.integers(62, 84))
    pen.text(
        canvas.middle(rng, 9), label.upper(), canvas.bright(rng), canvas.font(size), anchor="mm"
    )
    turned = image.rotate(
        rng.uniform(-12, 12), resample=Image.Resampling.BILINEAR, fillcolor=ground
    )
    return canvas.finish(turned, rng)


def draw_house_number(label: str, rng: np.random.Generator) -> Image.Image:
    """Returns a printed digit on a coloured plate, with parts of other digits on both sides."""
    plate = canvas.hue(rng.uniform(), saturation=rng.uniform(0.3, 0.9), value=rng.uniform(0.2, 0.4))
    image, pen = canvas.sheet(plate)
    ink = canvas.near((235, 235, 220), rng)
    type_face = canvas.font(int(rng.integers(60, 78)))
    x, y = canvas.middle(rng, 5)
    pen.text((x, y), str(DIGITS.index(label)), ink, type_face, anchor="mm")
    gap = rng.uniform(46, 54)
    for side in (-1, 1):
        neighbour = str(rng.integers(10))
        pen.text((x + side * gap, y), neighbour, ink, type_face, anchor="mm")
    return canvas.finish(image, rng)
