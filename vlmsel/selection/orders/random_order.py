"""Random picking: every image is as likely as any other to be the next."""

import numpy as np

from vlmsel.selection.orders.pool import Labelled, Pool, unlabelled


def next_image(pool: Pool, labelled: Labelled, rng: np.random.Generator) -> int:
    """Draw one of the images without a label.

    Raises:
        SelectionError: there is none.
    """
    return int(rng.choice(unlabelled(pool, labelled)))
