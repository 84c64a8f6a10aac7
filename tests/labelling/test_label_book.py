"""The labels of a person at work: every action, and taking it back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vlmsel.errors import TaskError
from vlmsel.labelling.label_book import COMES_AGAIN, LabelBook, StaleLabelError, check_class

IMAGES = tuple(f"{i}.png" for i in range(12))
CLASSES = ("cat", "dog")


@pytest.fixture
def book() -> LabelBook:
    return LabelBook(IMAGES, CLASSES, 2)


def test_images_are_asked_for_in_their_order(book):
    assert book.queue() == IMAGES
    book = book.label("0.png", "cat").label("1.png", None)
    assert book.queue() == IMAGES[2:]
    assert dict(book.labels) == {"0.png": "cat", "1.png": None}
    assert book.revision == 2


def test_a_skipped_image_comes_again_after_some_labels(book):
    book = book.skip("0.png")
    assert book.queue() == (*IMAGES[1:], "0.png")
    for image in IMAGES[1 : 1 + COMES_AGAIN]:
        assert book.waiting == ("0.png",)
        book = book.label(image, "cat")
    assert book.waiting == ()
    assert book.queue()[0] == "0.png"
    assert "0.png" not in book.label("0.png", "dog").skipped


def test_an_image_whose_label_is_taken_back_is_asked_for_at_once(book):
    book = book.skip("0.png").label("1.png", "cat").label("2.png", "dog")
    assert book.last == "2.png"
    book = book.undo("2.png")
    assert book.queue()[0] == "2.png"
    assert book.undo().queue()[0] == "1.png"
    assert book.undo().undo().queue()[0] == "0.png"
    with pytest.raises(StaleLabelError, match="nothing to undo"):
        book.undo().undo().undo()


def test_a_second_tab_is_told_that_it_is_late(book):
    book = book.label("0.png", "cat")
    with pytest.raises(StaleLabelError, match=r"0\.png was labelled meanwhile: cat"):
        book.label("0.png", "dog")
    with pytest.raises(StaleLabelError, match="labelled meanwhile"):
        book.skip("0.png")
    with pytest.raises(StaleLabelError, match="meanwhile; look"):
        book.label("1.png", "cat").undo("0.png")


def test_a_label_that_is_mended_is_the_last(book):
    book = book.label("0.png", "cat").label("1.png", "cat").label("0.png", "dog", again=True)
    assert dict(book.labels) == {"1.png": "cat", "0.png": "dog"}
    assert book.last == "0.png"


def test_what_cannot_be_read_is_passed_over(book):
    book = book.pass_over("0.png", "no picture")
    assert book.queue()[0] == "1.png"
    assert book.pass_over("0.png", "no picture") is book


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("  ", "needs a name"),
        ("a,b", "no comma"),
        ("a\nb", "no control characters"),
        ("None", "the word for an image in none"),
        ("DOG", "a class 'dog' already"),
        ("x" * 101, "at most 100"),
    ],
)
def test_impossible_class_names_are_one_line(name, said):
    with pytest.raises(TaskError, match=said):
        check_class(name, CLASSES)


def test_an_added_class_can_be_given(book):
    hostile = """<img src=x onerror="alert(1)"> & 'co'"""
    book = book.add_class(f" {hostile} ")
    assert book.added == (hostile,)
    assert book.label("0.png", hostile).labels["0.png"] == hostile
    with pytest.raises(TaskError, match="no class 'bird'"):
        book.label("0.png", "bird")
    with pytest.raises(TaskError, match=r"no image 'x\.png'"):
        book.label("x.png", "cat")


def test_where_a_class_is_called_none_no_image_is_in_none():
    book = LabelBook(IMAGES, ("none", "some"), 2)
    assert not book.has_no_class
    assert book.label("0.png", "none").labels["0.png"] == "none"
    with pytest.raises(TaskError, match="a class is called 'none'"):
        book.label("0.png", None)


ACTIONS = st.lists(st.sampled_from(["label", "none", "skip", "undo", "lost"]), max_size=30)


@given(ACTIONS)
@example(["label"] * 11 + ["skip", "lost", "undo"])
def test_every_image_is_labelled_open_or_unreadable_and_undo_takes_back(actions):
    book = LabelBook(IMAGES, CLASSES, 2)
    for action in actions:
        queue, before = book.queue(), book
        if action == "undo":
            if book.last is not None:
                book = book.undo()
        elif queue and action == "lost":
            book = book.pass_over(queue[0], "gone")
        elif queue:
            do = {
                "label": lambda b, x: b.label(x, "cat"),
                "none": lambda b, x: b.label(x, None),
                "skip": lambda b, x: b.skip(x),
            }[action]
            book = do(book, queue[0])
            back = book.undo(queue[0])
            assert dict(back.labels) == dict(before.labels)
            assert back.queue()[0] == queue[0]
        assert sorted([*book.queue(), *book.labels, *book.unreadable]) == sorted(IMAGES)
        assert len(set(book.queue())) == len(book.queue())
