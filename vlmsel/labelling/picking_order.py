"""Orders in which pictures are asked for, by name.

The product's own order depends on nothing but the images' names, so that the labelled ones are a
random sample. An order that picks images by what models say is none, which its entry says and the
page, the file and the answer repeat.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vlmsel.errors import SettingsError
from vlmsel.selection.zoo_answers import ZooAnswers

DEFAULT_ORDER = "random"


@dataclass(frozen=True)
class PickRequest:
    """Facts that an order may use.

    Attributes:
        images: all ids in the product's order.
        open_images: those without a label that can be read, in that order.
        labels: class number by image id, in the order in which labels came; below 0: in no class.
        answers: of the models that have answered; None before the first has.
    """

    images: tuple[str, ...]
    open_images: tuple[str, ...]
    labels: Mapping[str, int]
    answers: ZooAnswers | None = None


@dataclass(frozen=True)
class PickingOrder:
    """An order.

    Attributes:
        name: on the command line.
        pick: gives open images, the next one first; those it leaves out come last.
        is_random_sample: whether the labelled images are a random draw of all.
    """

    name: str
    pick: Callable[[PickRequest], Sequence[str]]
    is_random_sample: bool = False


def pick_random(request: PickRequest) -> Sequence[str]:
    """Return the open images in the product's order: by the sha256 of their ids."""
    return request.open_images


ORDERS: dict[str, PickingOrder] = {
    DEFAULT_ORDER: PickingOrder(DEFAULT_ORDER, pick_random, is_random_sample=True),
}


def picking_order(name: str) -> PickingOrder:
    """Find an order by its name.

    Raises:
        SettingsError: there is none of that name.
    """
    if name not in ORDERS:
        raise SettingsError(f"there is no order '{name}'; there are {', '.join(sorted(ORDERS))}")
    return ORDERS[name]


def pick_images(order: PickingOrder, request: PickRequest) -> tuple[str, ...]:
    """Return all open images, those that the order names first.

    Raises:
        SettingsError: the order names an image that is not open, or one twice.
    """
    picked = tuple(order.pick(request))
    among = set(picked)
    if len(among) < len(picked) or not among <= set(request.open_images):
        raise SettingsError(f"order '{order.name}' names images that are not open, or one twice")
    return picked + tuple(image for image in request.open_images if image not in among)
