"""Three commands: a labelled folder and a class list in, accuracies of a saved model out."""

import polars as pl
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        place = tmp_path / "my pictures" / ("red_cat" if number % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (40 * number, 9, 90)).save(place / f"{number}.png")
    (tmp_path / "classes.txt").write_text("dog\nred cat\nphoto, of a dog\n")
    return tmp_path / "my pictures"


def test_a_folder_and_a_saved_model_become_a_table(folder, vlmsel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from tests.zoo.providers.builders import save_dual_encoder

    save_dual_encoder("clip", tmp_path / "my-clip")
    added = vlmsel(
        "tasks", "--add", "my pictures", "--classnames", "classes.txt", "--tasks", "tasks.yaml"
    )
    assert added.code == 0, added.err
    assert "task my pictures: 6 images, 6 of them labelled, 3 classes" in added.err
    catalogs = ("--zoo", "my-clip", "--tasks", "tasks.yaml", "--store", "store")
    measured = vlmsel("accuracy", *catalogs)
    assert measured.code == 0, measured.err
    assert vlmsel("export", "accuracies", "acc.csv", "--store", "store").code == 0
    (row,) = pl.read_csv("acc.csv").to_dicts()
    assert (row["model"], row["pretrained"], row["task"]) == ("my-clip", "local", "my pictures")
    assert 0 <= row["acc1"] <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--add", "IMAGES"), "say which, --tasks tasks.yaml"),
        (("--add", "IMAGES", "--tasks", "demo-vlm"), "say which, --tasks tasks.yaml"),
        (("--classnames", "a,b"), "--classnames says what a new task is"),
        (("--add", "IMAGES/dog", "--tasks", "t.yaml"), "has no class names: give --classnames"),
        (("--add", "IMAGES", "--tasks", "t.yaml", "--classnames", "cat,dog"), "is in no folder"),
        (("--add", "IMAGES", "--tasks", "t.yaml", "--template", "x"), "must hold {} once"),
        (("--add", "nowhere", "--tasks", "t.yaml"), "nowhere does not exist"),
    ],
)
def test_what_cannot_be_added_is_one_line(folder, vlmsel, options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = vlmsel("tasks", *(option.replace("IMAGES", str(folder)) for option in options))
    assert answer.code == 2
    assert said in answer.error
