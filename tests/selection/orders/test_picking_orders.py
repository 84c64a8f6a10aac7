"""All orders keep the same promises: an image without a label, from the generator alone."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.orders import ORDERS, Labelled, Pool, find_order


@pytest.mark.parametrize("name", ORDERS)
def test_every_image_is_picked_once_and_the_best_model_is_found(name, pool, truth):
    order, labelled = find_order(name), Labelled()
    rng = np.random.default_rng(1)
    for _ in range(pool.n_images):
        if order.name == "vma" and len(labelled.images) >= 15:
            break
        image = order.next_image(pool, labelled, rng)
        assert image not in labelled.images
        labelled = labelled.adding(image, int(truth[image]))
    assert order.first_choice(pool, labelled).argmax() == 0
    assert order.estimate(pool, labelled).shape == (4,)


@pytest.mark.parametrize("name", ORDERS)
def test_the_same_generator_picks_the_same(name, pool):
    order, labelled = ORDERS[name], Labelled((3, 5), (0, 1))
    picks = [order.next_image(pool, labelled, np.random.default_rng(4)) for _ in range(2)]
    assert picks[0] == picks[1]


def test_only_a_random_sample_carries_no_warning():
    assert [name for name, order in ORDERS.items() if order.warning is None] == ["random"]
    assert "no random sample" in str(ORDERS["coda"].warning)
    assert "picked by vma" in str(ORDERS["vma"].warning)


def test_an_order_that_needs_probabilities_says_so(pool):
    bare = Pool(pool.classes, 3)
    for order in ORDERS.values():
        if order.needs_probabilities:
            with pytest.raises(SelectionError, match="probabilities"):
                order.next_image(bare, Labelled(), np.random.default_rng(0))
        else:
            order.next_image(bare, Labelled(), np.random.default_rng(0))


def test_a_misspelt_order_names_the_nearest():
    with pytest.raises(SelectionError, match="did you mean model-selector"):
        find_order("modelselector")
