from hypothesis import given
from hypothesis import strategies as st

from vlmsel.selection.label_draw import draw_labels

ORDER = ("a", "b", "c", "d", "e")


def test_labels_count_up_to_the_first_gap():
    draw = draw_labels(ORDER, {"a": 0, "b": 1, "d": 2})
    assert draw.used == ("a", "b")
    assert draw.unused == ("d",)
    assert draw.wanted == ("c", "e")


def test_an_unreadable_image_is_no_gap():
    draw = draw_labels(ORDER, {"a": 0, "c": 1}, unreadable={"b"})
    assert draw.used == ("a", "c")
    assert draw.wanted == ("d", "e")


def test_all_labels_count_where_they_are_random():
    draw = draw_labels(ORDER, {"b": 0, "e": 1}, are_random=True)
    assert draw.used == ("b", "e")
    assert draw.unused == ()


def test_an_image_in_no_class_is_labelled():
    assert draw_labels(ORDER, {"a": -1, "b": 0}).used == ("a", "b")


def test_without_labels_the_first_images_are_wanted():
    draw = draw_labels(ORDER, {}, n_wanted=2)
    assert (draw.used, draw.unused, draw.wanted) == ((), (), ("a", "b"))


@given(st.sets(st.sampled_from(ORDER)), st.booleans())
def test_every_label_is_used_or_not(labelled, are_random):
    draw = draw_labels(ORDER, dict.fromkeys(labelled, 0), are_random=are_random)
    assert set(draw.used) | set(draw.unused) == labelled
    assert not set(draw.used) & set(draw.unused)
    assert not set(draw.wanted) & labelled
    if are_random:
        assert set(draw.used) == labelled
