"""Pictures to ask for, by the orders of `vlmsel.selection.orders`.

The product's own order depends on nothing but the images' names, so that the labelled ones are a
random sample. An order that picks images by what models say is none, which the page, the file and
the answer repeat.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.orders import Labelled, PickingOrder, Pool, find_order
from vlmsel.selection.zoo_answers import ZooAnswers
from vlmsel.tasks.label_tables import RANDOM_ORDER

DEFAULT_ORDER = RANDOM_ORDER


def find_page_order(name: str) -> PickingOrder:
    """Find an order that the page can ask in.

    Raises:
        SelectionError: there is none of that name, or it needs the probabilities of all classes,
            which are not read here.
    """
    order = find_order(name)
    if order.needs_probabilities:
        raise SelectionError(
            f"order '{name}' needs the probabilities of all classes, which the label page does not "
            "read: `vlmsel study orders` compares the orders"
        )
    return order


def pick_images(
    order: PickingOrder,
    open_images: Sequence[str],
    labels: Mapping[str, int],
    answers: ZooAnswers | None,
) -> tuple[str, ...]:
    """Return the open images, the one that the order picks first.

    Until a model has answered, and for the random order, that is the product's order. What an order
    draws depends on the number of labels alone, so that two tabs are asked for one picture.

    Args:
        order: of `find_page_order`.
        open_images: without a label, in the product's order.
        labels: class number by image id, in the order in which labels came; below 0: in no class.
        answers: of the models on the images; None before the first.
    """
    images = tuple(open_images)
    if answers is None or order.name == DEFAULT_ORDER:
        return images
    column = {image: i for i, image in enumerate(answers.images)}
    # Only what can be asked for may be picked.
    kept = [image for image in column if image in labels or image in set(images)]
    among = answers.classes[:, [column[image] for image in kept]]
    place = {image: i for i, image in enumerate(kept)}
    seen = [(place[x], n) for x, n in labels.items() if x in place and n < answers.n_classes]
    if len(seen) == len(kept):
        return images
    labelled = Labelled(tuple(i for i, _ in seen), tuple(n for _, n in seen))
    rng = np.random.default_rng(len(labels))
    picked = kept[order.next_image(Pool(among, answers.n_classes), labelled, rng)]
    if picked not in images:
        return images
    return (picked, *(image for image in images if image != picked))
