import pytest

from vlmsel.tasks.class_folders import find_class_folders


def test_folders_name_the_classes(tmp_path):
    found = find_class_folders(str(tmp_path), ["red_fox/1.png", "cat/1.png", "cat/deep/2.png"])
    assert found == ("cat", "red fox")


@pytest.mark.parametrize("ids", [["a.png", "cat/1.png", "dog/1.png"], ["cat/1.png", "cat/2.png"]])
def test_other_layouts_name_none(tmp_path, ids):
    assert find_class_folders(str(tmp_path), ids) == ()


@pytest.mark.parametrize("place", ["s3://bucket/images", "/no/such/folder"])
def test_only_a_local_folder_has_class_folders(place):
    assert find_class_folders(place, ["cat/1.png", "dog/1.png"]) == ()
