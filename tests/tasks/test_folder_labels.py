import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks.folder_labels import check_labels, folder_labels

CLASSES = ("tabby cat", "dog")


def test_folders_are_classes_up_to_case_and_underscores() -> None:
    names = ["Tabby_Cat/1.png", "dog/deeper/2.png", "tabby cat/3.png"]
    assert folder_labels("t", names, CLASSES) == [0, 1, 0]


def test_where_no_folder_is_a_class_there_are_no_labels() -> None:
    assert folder_labels("t", ["a/1.png", "2.png"], CLASSES) == [None, None]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dgo/1.png", r"dgo/1\.png is in no folder named after a class; did you mean dog"),
        ("1.png", r"1\.png is in no folder named after a class$"),
    ],
)
def test_a_stranger_among_labelled_images_is_an_error(name: str, reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        folder_labels("t", ["dog/1.png", name], CLASSES)


def test_alike_class_names_cannot_be_folders() -> None:
    assert folder_labels("t", ["x/1.png"], ("a b", "A_b")) == [None]
    with pytest.raises(TaskError, match="two class names are alike"):
        folder_labels("t", ["a b/1.png"], ("a b", "A_b"))


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_without_a_class_name_are_refused(label: int) -> None:
    check_labels("t", [0, 1, None], CLASSES)
    with pytest.raises(TaskError, match=rf"label {label} has no class name \(0 to 1\)"):
        check_labels("t", [0, label], CLASSES)
