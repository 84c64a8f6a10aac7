"""``vlmsel scores``: the table models x scores, and what is refused in one line."""

import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.cli.conftest import Lab


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures of two classes: dark above, or dark below."""
    rng, place = np.random.default_rng(0), tmp_path / "pictures"
    place.mkdir()
    rows = ["image,label"]
    for i in range(12):
        picture = rng.integers(100, 255, size=(32, 32, 3), dtype=np.uint8)
        half = slice(0, 16) if i % 2 else slice(16, 32)
        picture[half] //= 4
        Image.fromarray(picture).save(place / f"{i:02}.png")
        rows.append(f"{i:02}.png,{'above' if i % 2 else 'below'}")
    # One that cannot be read must not take the models along.
    (place / "broken.png").write_bytes(b"no picture")
    rows.append("broken.png,above")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return place


def call(vlmsel, lab: Lab, folder, *more, labels=None):
    labels = labels or folder.parent / "labels.csv"
    args = ("--labels", labels, "--store", lab.store, "--tracking-uri", lab.uri)
    return vlmsel("scores", folder, *args, *more)


def test_the_table_goes_to_terminal_file_json_and_mlflow(own_lab, vlmsel, folder, tmp_path):
    out = tmp_path / "table.parquet"
    scores = ("--estimator", "logme", "--estimator", "hscore", "--resamples", "10")
    (folder / "photo.heic").write_bytes(b"unread")
    answer = call(vlmsel, own_lab, folder, *scores, "--json", "--out", out)
    assert answer.code == 1, answer.err
    found = json.loads(answer.out)
    said = "1 labelled image has no embedding and counts for no model: broken.png"
    assert found["notes"][1] == said
    assert [one["what"].partition(" file")[0] for one in found["passed_over"]] == ["1 .heic"]
    assert len(found["scores"]) == 2 * 4
    assert pl.read_parquet(out).height == 8
    assert found["mlflow"]["run"]
    logme = [row for row in found["scores"] if row["estimator"] == "logme"]
    assert sorted(row["place"] for row in logme) == [1, 2, 3, 4]
    assert all(row["place_low"] <= row["place"] <= row["place_high"] for row in logme)
    assert all(row["zero_shot_accuracy"] is not None for row in logme)
    hscore = [row for row in found["scores"] if row["estimator"] == "hscore"]
    assert all(row["place"] is None and "noise included" in row["reason"] for row in hscore)
    scores = (*scores, "--allow-failures", "8")
    again = call(vlmsel, own_lab, folder, *scores, "--out", tmp_path / "table.csv")
    assert again.code == 0
    assert "nothing to do" in again.err
    assert "hscore ranks nothing" in again.err
    assert "logme:" in again.out
    assert pl.read_csv(tmp_path / "table.csv").height == 8


def test_labels_that_cannot_be_scored_are_one_line(lab, vlmsel, folder):
    (folder.parent / "wrong.csv").write_text("image,label\n00.png,a\nno.png,b\n")
    answer = call(vlmsel, lab, folder, labels=folder.parent / "wrong.csv")
    assert answer.code == 2
    assert "no image 'no.png'" in answer.error
    assert "absent" in call(vlmsel, lab, folder, labels=folder.parent / "absent.csv").error


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--estimator", "logmee"), "did you mean logme"),
        (("--out", "table.txt"), "name it as .parquet or .csv"),
    ],
)
def test_options_that_are_wrong(lab, vlmsel, folder, option, words):
    answer = call(vlmsel, lab, folder, *option)
    assert answer.code == 2
    assert words in answer.error
