import polars as pl
import pytest

from tests.shared_data import DATA
from vlmsel.errors import StoreError
from vlmsel.published import read_image_predictions

CUES = pl.DataFrame(
    {
        "model": ["clip/a", "clip/a", "clip/a", "vlm/vqa/b", "b"],
        "image": ["cat1-dog2", "dog3-dog1", "dog1-cat2", "cat1-dog2", "cat1-dog2"],
        "pred_label": ["cat", "dog", None, "a chair", "dog"],
        "pred_conf": [0.5, 0.6, 0.7, None, 1.0],
    }
)


def test_cue_conflict_images_carry_their_label(write_parquet):
    found = read_image_predictions(write_parquet(CUES, "cues.parquet"))
    assert found.frame.rows() == [
        ("a", "clip", "cues", "cat1-dog2", "cat", 0.5, "cat"),
        ("a", "clip", "cues", "dog1-cat2", None, 0.7, "dog"),
        ("b", "published", "cues", "cat1-dog2", "dog", 1.0, "cat"),
        ("b", "vlm/vqa", "cues", "cat1-dog2", None, None, "cat"),
    ]
    assert found.left_out.rows() == [
        ("image", "cue-conflict", 1, "shape and texture are one class")
    ]
    assert found.doubts == ("2 answers are none of the 2 classes: they count as misses",)


def test_a_column_of_labels(write):
    text = "model,pretrained,image,pred_label,label\nm,x,1.png,cat,cat\nm,x,2.png,dog,\n"
    text += "m,x,3.png,dog,dog\n"
    found = read_image_predictions(write(text), task="pets")
    assert found.frame.select("task", "image_id", "prediction", "label").rows() == [
        ("pets", "1.png", "cat", "cat"),
        ("pets", "3.png", "dog", "dog"),
    ]
    assert found.left_out["reason"].to_list() == ["no label"]


def test_without_labels(write):
    with pytest.raises(StoreError, match="add the true class as a column label"):
        read_image_predictions(write("model,image,pred_label\nm,1.png,cat\n"))


def test_two_labels_of_an_image(write):
    text = "model,image,pred_label,label\nm,1.png,cat,cat\nn,1.png,cat,dog\n"
    with pytest.raises(StoreError, match=r"1\.png has 2 labels"):
        read_image_predictions(write(text))


def test_two_answers_of_a_model(write):
    text = "model,image,pred_label,label\nm,1.png,cat,cat\nm,1.png,dog,cat\n"
    with pytest.raises(StoreError, match="contradicts itself"):
        read_image_predictions(write(text))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the published tables are not in {DATA}")
def test_the_whole_table():
    found = read_image_predictions(DATA / "vlm_cue_conflict" / "predictions.parquet").frame
    assert found["image_id"].n_unique() == 1200
    assert found.select("model", "pretrained").n_unique() == 47
    assert found["label"].n_unique() == 16
