"""Labelled images of a task, and draws of a few of every class."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.evaluation.simulated_labels import target_rng
from vlmsel.selection.transfer.labelled_task import labelled_task


@dataclass(frozen=True)
class LabelledImages:
    """The labelled images of a task that can be used, in the order of their ids.

    Attributes:
        task: its name.
        image_ids: (n,).
        codes: (n,) class of each image.
        copies: (n,) copies of one image share a number.
        notes: what was left out, a line each.
    """

    task: str
    image_ids: tuple[str, ...]
    codes: np.ndarray
    copies: np.ndarray
    notes: tuple[str, ...] = ()

    @cached_property
    def distinct(self) -> np.ndarray:
        """Rows with the first of all copies of an image."""
        return np.sort(np.unique(self.copies, return_index=True)[1])

    @property
    def smallest(self) -> int:
        """Different images of the smallest class."""
        return int(np.unique(self.codes[self.distinct], return_counts=True)[1].min())


def labelled_images(
    task: str, image_ids: np.ndarray, labels: np.ndarray, checksums: np.ndarray
) -> LabelledImages:
    """Clean the labels of a task: contradicting copies and single images are left out.

    Args:
        task: its name.
        image_ids: (n,) of the labelled images.
        labels: (n,) class numbers.
        checksums: (n,) of the images' contents.

    Raises:
        SelectionError: fewer than two classes are left.
    """
    order = np.argsort(image_ids.astype(str), kind="stable")
    cleaned = labelled_task(labels[order], images=checksums[order])
    names = image_ids[order][cleaned.rows].astype(str).tolist()
    codes = labels[order][cleaned.rows]
    return LabelledImages(task, tuple(names), codes, cleaned.copies, cleaned.notes)


def draw_shots(images: LabelledImages, shots: int, draw: int, *, seed: int = 0) -> np.ndarray:
    """Draw as many different images of every class; the fewer are among the more.

    Args:
        images: of the task.
        shots: images per class.
        draw: number of the draw.
        seed: of all draws.

    Returns:
        Rows, sorted.

    Raises:
        SelectionError: a class would keep no image to be judged on.
    """
    if shots < 1:
        raise SelectionError(f"{shots} shots: draw at least 1 image of every class")
    if images.smallest <= shots:
        raise SelectionError(
            f"the smallest class has {images.smallest} different images: {shots} shots leave none "
            "to judge on"
        )
    rng = target_rng(seed, f"{images.task} {draw}")
    order = rng.permutation(images.distinct)
    codes = images.codes[order]
    drawn = [order[codes == name][:shots] for name in np.unique(codes)]
    return np.sort(np.concatenate(drawn))


def find_undrawn(images: LabelledImages, drawn: np.ndarray) -> np.ndarray:
    """Return the rows that are neither drawn nor a copy of an image that is."""
    return np.flatnonzero(~np.isin(images.copies, images.copies[drawn]))
