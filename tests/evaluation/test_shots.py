import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.shots import draw_shots, find_undrawn, labelled_images


def task(n: int = 24, n_classes: int = 3, **changes: np.ndarray):
    ids = np.array([f"{i:03}.png" for i in range(n)], dtype=object)
    sums = np.array([f"sum {i}" for i in range(n)], dtype=object)
    given = {"image_ids": ids, "labels": np.arange(n) % n_classes, "checksums": sums, **changes}
    return labelled_images("birds", **given)


def test_every_class_gives_as_many_images_and_fewer_are_among_more():
    images = task()
    few, more = (set(draw_shots(images, k, 0).tolist()) for k in (2, 5))
    assert few < more
    assert np.bincount(images.codes[sorted(more)]).tolist() == [5, 5, 5]


def test_draws_differ_and_come_again():
    images = task()
    assert draw_shots(images, 3, 0).tolist() == draw_shots(task(), 3, 0).tolist()
    assert draw_shots(images, 3, 0).tolist() != draw_shots(images, 3, 1).tolist()
    assert draw_shots(images, 3, 0).tolist() != draw_shots(images, 3, 0, seed=1).tolist()


def test_a_copy_of_a_drawn_image_is_not_judged_on():
    sums = np.array([f"sum {i // 6}" for i in range(24)], dtype=object)
    images = task(labels=np.repeat([0, 1], 12), checksums=sums)
    drawn = draw_shots(images, 1, 0)
    assert len(drawn) == 2
    rest = find_undrawn(images, drawn)
    assert len(rest) == 12
    assert not set(images.copies[rest]) & set(images.copies[drawn])


def test_order_of_the_rows_is_that_of_the_ids():
    order = np.random.default_rng(0).permutation(24)
    ids = np.array([f"{i:03}.png" for i in order], dtype=object)
    sums = np.array([f"sum {i}" for i in order], dtype=object)
    shuffled = task(image_ids=ids, labels=order % 3, checksums=sums)
    assert shuffled.image_ids == task().image_ids
    assert shuffled.codes.tolist() == task().codes.tolist()


@pytest.mark.parametrize(("shots", "words"), [(8, "leave none to judge on"), (0, "at least 1")])
def test_impossible_numbers_are_refused(shots, words):
    with pytest.raises(SelectionError, match=words):
        draw_shots(task(), shots, 0)
