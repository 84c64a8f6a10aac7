"""Picking orders by name, with what each needs and how it ranks the models."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.orders import coda, model_selector, random_order, vma
from vlmsel.selection.orders.pool import Labelled, Pool, hit_rates
from vlmsel.suggest import nearest

NextImage = Callable[[Pool, Labelled, np.random.Generator], int]
Estimate = Callable[[Pool, Labelled], np.ndarray]
NOT_RANDOM = (
    "images picked by {} are no random sample: hit rates on them are biased, and posteriors, "
    "intervals and expected regrets that take them for a random sample do not hold"
)


@dataclass(frozen=True)
class PickingOrder:
    """A way to pick the images to label.

    Attributes:
        name: of the order.
        about: what it does, in one line.
        next_image: picks the next image: pool, labels so far and a generator in, a column out.
        estimate: ranks the models by the labels, (models,), higher is better.
        first_choice: ranks them where only the best one counts, likewise.
        is_random_sample: True if hit rates on the picked images are unbiased.
        needs_probabilities: True if the pool must have probabilities.
    """

    name: str
    about: str
    next_image: NextImage
    estimate: Estimate
    first_choice: Estimate
    is_random_sample: bool = False
    needs_probabilities: bool = False

    @property
    def warning(self) -> str | None:
        """The sentence to show beside results of picked images; None for a random sample."""
        return None if self.is_random_sample else NOT_RANDOM.format(self.name)


ORDERS: dict[str, PickingOrder] = {
    order.name: order
    for order in (
        PickingOrder(
            "random",
            "a random sample, the only order under which hit rates are unbiased",
            random_order.next_image,
            hit_rates,
            hit_rates,
            is_random_sample=True,
        ),
        PickingOrder(
            "coda",
            "the label expected to tell most about which model is best, from the consensus on",
            coda.next_image,
            coda.expected_accuracy,
            coda.probability_best,
            needs_probabilities=True,
        ),
        PickingOrder(
            "model-selector",
            "the label expected to narrow the posterior over models most",
            model_selector.next_image,
            hit_rates,
            hit_rates,
        ),
        PickingOrder(
            "vma",
            "images drawn where the models' expected losses differ, weighted back",
            vma.next_image,
            vma.weighted_accuracy,
            vma.weighted_accuracy,
        ),
    )
}


def find_order(name: str) -> PickingOrder:
    """Look a picking order up.

    Raises:
        SelectionError: there is none of that name.
    """
    if name in ORDERS:
        return ORDERS[name]
    hint = nearest(name, ORDERS, n=1) or f"; known are {', '.join(ORDERS)}"
    raise SelectionError(f"there is no picking order {name!r}{hint}")
