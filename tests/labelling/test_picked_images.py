"""The order in which pictures are asked for: the product's own, or a picked one at its head."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.labelling.picked_images import DEFAULT_ORDER, find_page_order, pick_images
from vlmsel.selection.zoo_answers import ZooAnswers

IMAGES = tuple("abcdef")


@pytest.fixture
def answers() -> ZooAnswers:
    # The models differ on d alone.
    classes = np.zeros((2, 6), dtype=int)
    classes[1, 3] = 1
    nothing = np.full(classes.shape, np.nan)
    return ZooAnswers((("m", "x"), ("n", "x")), IMAGES, classes, 2, *[nothing] * 3)


def test_the_default_keeps_the_products_order(answers):
    order = find_page_order(DEFAULT_ORDER)
    assert order.is_random_sample
    assert pick_images(order, IMAGES[1:], {"a": 0}, answers) == IMAGES[1:]


@pytest.mark.parametrize("name", ["model-selector", "vma"])
def test_a_picking_order_asks_where_models_differ(answers, name):
    order = find_page_order(name)
    assert not order.is_random_sample
    assert pick_images(order, IMAGES, {}, None) == IMAGES
    picked = pick_images(order, IMAGES[1:], {"a": 0}, answers)
    assert sorted(picked) == list(IMAGES[1:])
    assert picked == pick_images(order, IMAGES[1:], {"a": 0}, answers)
    if name == "model-selector":
        assert picked[0] == "d"


def test_an_image_that_cannot_be_asked_for_is_not_picked(answers):
    rest = tuple(image for image in IMAGES if image != "d")
    assert sorted(pick_images(find_page_order("model-selector"), rest, {}, answers)) == sorted(rest)
    assert pick_images(find_page_order("vma"), (), dict.fromkeys(IMAGES, 0), answers) == ()


def test_orders_that_cannot_be_are_one_line():
    with pytest.raises(SelectionError, match="there is no picking order 'codo'; did you mean coda"):
        find_page_order("codo")
    with pytest.raises(SelectionError, match="needs the probabilities of all classes"):
        find_page_order("coda")
