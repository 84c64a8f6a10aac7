"""Images unlike every source: what the models' answers look like under class names that do not fit.

    python bench/unlike_images.py STORE

STORE is that of `vlmsel demo`. Three folders of 30 pictures are made: uniform noise, crops of
scikit-learn's two photographs, and the demo's own letters, each ranked under four nouns that no
model learnt. The answers on them are measured into STORE. Prints what `vlmsel.select` warns of.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import vlmsel
from vlmsel.demo.demo_tasks import demo_task, draw

NOUNS = ["cat", "dog", "car", "house"]
N_IMAGES, SIZE, CROP = 30, 32, 96


def noise(rng: np.random.Generator) -> Iterator[Image.Image]:
    for _ in range(N_IMAGES):
        yield Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))


def crops(rng: np.random.Generator) -> Iterator[Image.Image]:
    photographs = load_sample_images().images
    for i in range(N_IMAGES):
        pixels = photographs[i % len(photographs)]
        top, left = (rng.integers(0, side - CROP) for side in pixels.shape[:2])
        yield Image.fromarray(pixels[top : top + CROP, left : left + CROP])


def letters(rng: np.random.Generator) -> Iterator[Image.Image]:
    pictures, _ = draw(demo_task("letters-a"), split="test", n=N_IMAGES, seed=int(rng.integers(99)))
    for picture in pictures:
        yield picture if isinstance(picture, Image.Image) else Image.fromarray(picture)


def main() -> None:
    (store,) = sys.argv[1:]
    for make in (noise, crops, letters):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / make.__name__
            folder.mkdir()
            for i, picture in enumerate(make(np.random.default_rng(0))):
                picture.save(folder / f"{i:02}.png")
            selection = vlmsel.select(str(folder), store=store, classnames=NOUNS)
        for notice in selection.warnings:
            print(f"{make.__name__}: {notice}")


if __name__ == "__main__":
    main()
