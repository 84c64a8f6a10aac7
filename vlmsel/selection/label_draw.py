"""Labels that may be taken for a random draw of the images, and the images to label next. Pure.

A hit rate says something of all images only if the labelled ones were drawn at random. That cannot
be seen from labels, so the images have an order that depends on nothing but their ids, and labels
count as far as that order is labelled without a gap.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

NEXT_IMAGES = 25


@dataclass(frozen=True)
class LabelDraw:
    """Labels that count.

    Attributes:
        used: ids of the images whose labels count, in the order.
        unused: labelled images beyond the first gap, in the order.
        wanted: images to label next, in the order.
        is_random: whether the user said that all labels are a random draw.
    """

    used: tuple[str, ...]
    unused: tuple[str, ...]
    wanted: tuple[str, ...]
    is_random: bool = False


def draw_labels(
    order: Sequence[str],
    labels: Mapping[str, int],
    *,
    unreadable: Collection[str] = (),
    are_random: bool = False,
    n_wanted: int = NEXT_IMAGES,
) -> LabelDraw:
    """Take the labels that no gap in the order separates from its beginning.

    Args:
        order: ids of all images, in the order in which they are measured.
        labels: class number by image id; an image in none of the classes has one below 0.
        unreadable: images that cannot be labelled: they are no gap.
        are_random: the user says that the labelled images are a random draw: all count.
        n_wanted: images to name for labelling.
    """
    labelled = [image for image in order if image in labels]
    gap = next((i for i, x in enumerate(order) if x not in labels and x not in unreadable), None)
    reached = len(order) if gap is None or are_random else gap
    first = set(order[:reached])
    open_images = [image for image in order if image not in labels and image not in unreadable]
    return LabelDraw(
        used=tuple(image for image in labelled if image in first),
        unused=tuple(image for image in labelled if image not in first),
        wanted=tuple(open_images[:n_wanted]),
        is_random=are_random,
    )
