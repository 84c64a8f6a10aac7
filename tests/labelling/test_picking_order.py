"""Orders by name: the product's own is the random one, and no order can lose an image."""

import pytest

from vlmsel.errors import SettingsError
from vlmsel.labelling.picking_order import (
    DEFAULT_ORDER,
    PickingOrder,
    PickRequest,
    pick_images,
    picking_order,
)

REQUEST = PickRequest(("a", "b", "c", "d"), ("b", "c", "d"), {"a": 0})


def test_the_default_keeps_the_order_and_is_random():
    order = picking_order(DEFAULT_ORDER)
    assert order.is_random_sample
    assert pick_images(order, REQUEST) == ("b", "c", "d")


def test_what_an_order_leaves_out_comes_last():
    order = PickingOrder("last", lambda request: request.open_images[-1:])
    assert not order.is_random_sample
    assert pick_images(order, REQUEST) == ("d", "b", "c")


@pytest.mark.parametrize("picked", [("a",), ("b", "b"), ("x",)])
def test_an_order_names_open_images_once(picked):
    with pytest.raises(SettingsError, match="not open, or one twice"):
        pick_images(PickingOrder("wrong", lambda _: picked), REQUEST)


def test_an_unknown_order_is_one_line():
    with pytest.raises(SettingsError, match="there is no order 'codo'; there are"):
        picking_order("codo")
