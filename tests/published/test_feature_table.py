"""Text features as LOVM prints them, and in a plain long table."""

from pathlib import Path

import pytest

from vlmsel.columns import FEATURE_NAMES
from vlmsel.errors import StoreError
from vlmsel.published.feature_table import read_features
from vlmsel.published.stored_tables import read_features as stored_features
from vlmsel.published.stored_tables import write_features
from vlmsel.selection.texts.text_features import FEATURES
from vlmsel.store.filesystem import open_folder

LOVM = (
    ",acc1,acc5,mean_per_class_recall,dataset,model,pretrained,task,language,model_fullname,"
    "IN-score,text-f1,text-acc1,intraclass_sim,inter_close,intra_close,superclass_metric\n"
)


def write(folder: Path, text: str) -> Path:
    path = folder / "features.csv"
    path.write_text(text)
    return path


def test_the_published_layout_is_read(tmp_path):
    row = "0,.5,.9,.5,dtd,RN50,openai,zeroshot_classification,en,RN50 openai,.6,.1,.2,.3,.4,.5,.6\n"
    other = row.replace("zeroshot_classification", "zeroshot_retrieval").replace("dtd", "coco")
    found = read_features(write(tmp_path, LOVM + row + other))
    assert found.frame.rows() == [("RN50", "openai", "dtd", 0.6, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    assert "not zeroshot_classification" in found.left_out["reason"].to_list()[0]


def test_a_plain_table_with_some_features_is_read_and_kept(tmp_path):
    text = "model,pretrained,task,text-acc1,notes\na,p,own task,0.5,x\na,p,pets,,y\n"
    found = read_features(write(tmp_path, text))
    assert found.frame["text-acc1"].to_list() == [0.5, None]
    assert found.frame["text-f1"].null_count() == 2
    assert any("there is no IN-score, text-f1" in doubt for doubt in found.doubts)
    assert "notes" in found.left_out["name"].to_list()
    folder = open_folder(tmp_path / "store")
    write_features(folder, found.frame, "own")
    assert stored_features(folder).drop("source").equals(found.frame)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,pretrained,task,acc1\na,p,t,1\n", "expected model, pretrained, task and text feat"),
        ("model,pretrained,task,IN-score\na,p,t,1\n", "another layout"),
        ("model,pretrained,text-acc1\na,p,1\n", "another layout"),
        ("model,task,text-acc1\na,t,1\n", "expected model and pretrained"),
        ("model,pretrained,task,text-acc1\na,p,t,high\n", "text-acc1"),
        ("model,pretrained,task,text-acc1\na,p,t,.1\na,p,t,.2\n", "contradicts itself"),
    ],
)
def test_another_table_is_refused(tmp_path, text, message):
    with pytest.raises(StoreError, match=message):
        read_features(write(tmp_path, text))


def test_store_and_selection_use_the_same_words():
    assert FEATURES == FEATURE_NAMES
