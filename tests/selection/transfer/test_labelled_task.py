"""Images left out of a task, with notes that say so."""

import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.transfer.labelled_task import labelled_task


def test_images_without_a_label_are_left_out():
    task = labelled_task(["a", None, "b", "a", "b"])
    assert task.rows.tolist() == [0, 2, 3, 4]
    assert task.notes == ("1 images without a label are left out",)
    assert labelled_task([0, np.nan, 1, 0, 1]).rows.tolist() == [0, 2, 3, 4]


def test_an_image_with_two_labels_is_left_out():
    task = labelled_task(list("abbaab"), images=list("xxyzwv"))
    assert task.rows.tolist() == [2, 3, 4, 5]
    assert "1 images have several labels" in task.notes[0]


def test_few_classes_of_one_image_are_left_out_and_many_stay():
    few = labelled_task([0] * 10 + [1] * 10 + [2])
    assert few.groups.n_classes == 2
    assert few.notes == ("1 classes of one image are left out: 2",)
    many = labelled_task([0, 0, 1, 1, 2, 3, 4])
    assert many.groups.n_classes == 5
    assert many.notes == ("3 classes have one image: nothing can be held out of them",)


def test_columns_are_those_of_the_classes_given():
    task = labelled_task(["b", "a", "b", "a"], classes=["z", "b", "a"])
    assert task.columns.tolist() == [1, 2, 1, 2]
    with pytest.raises(SelectionError, match="1 labels name no class of the task: c"):
        labelled_task(["b", "c", "b", "c"], classes=["a", "b"])


def test_identities_must_be_one_a_label():
    with pytest.raises(SelectionError, match="4 rows"):
        labelled_task(["b", "a", "b", "a"], images=["x"])
