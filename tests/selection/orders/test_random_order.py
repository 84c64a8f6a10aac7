"""Random picking is uniform over the images without a label."""

import numpy as np

from vlmsel.selection.orders import Labelled
from vlmsel.selection.orders.random_order import next_image


def test_every_image_without_a_label_is_as_likely(pool):
    labelled = Labelled(tuple(range(36)), (0,) * 36)
    rng = np.random.default_rng(0)
    drawn = [next_image(pool, labelled, rng) for _ in range(2000)]
    counts = np.bincount(drawn, minlength=40)[36:]
    assert counts.sum() == 2000
    assert np.abs(counts - 500).max() < 80
