import polars as pl
import pytest

from vlmsel.errors import StoreError
from vlmsel.published import read_accuracies, recognise
from vlmsel.published.class_accuracies import ImportedClasses
from vlmsel.published.layouts import Layout
from vlmsel.published.own_tables import COLUMNS

HEADERS = {
    "name,pretrained,CIFAR-10": Layout.openclip,
    "dataset,model,pretrained,acc1": Layout.lovm,
    "downstream_dataset,model_fullname,acc1": Layout.clip_benchmark,
    "model,task,main_score,accuracy": Layout.mieb,
    "dataset,model,pretrained,classname,acc": Layout.classes,
    "model,pretrained,task,accuracy": Layout.long,
    "model,pretrained,dataset,acc": Layout.long,
}


@pytest.mark.parametrize(("header", "layout"), HEADERS.items())
def test_a_layout_is_known_by_its_columns(write, header, layout):
    assert recognise(write(f"{header}\n")) is layout


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("a,b,c", "has another layout than those known"),
        ("<!DOCTYPE html><html>", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS"),
        ("model,image,pred_label", "vlmsel import predictions"),
        ("model,pretrained,task,block,block_name,conductance", "vlmsel import profiles"),
    ],
)
def test_what_is_no_table_of_accuracies(write, header, advice):
    with pytest.raises(StoreError, match=advice):
        recognise(write(f"{header}\n"))


LONG = "model,pretrained,task,accuracy\na,x,mnist,0.5\n"


@pytest.mark.parametrize(
    ("header", "option", "name"),
    [
        ("model,pretrained,task,accuracy", {"protocol": "zero-shot"}, "--protocol"),
        (",".join(COLUMNS["accuracies"]), {"keep_unknown": True}, "--keep-unknown"),
        ("name,pretrained,MNIST", {"prompts": "class"}, "--prompts"),
        ("model,task,main_score,accuracy", {"quickgelu": True}, "--quickgelu"),
    ],
)
def test_options_without_meaning_are_refused(write, header, option, name):
    with pytest.raises(StoreError, match=f"{name} has no meaning"):
        read_accuracies(write(f"{header}\n"), **option)


def test_the_layout_can_be_named(write):
    assert read_accuracies(write(LONG), Layout.long).frame["acc1"].to_list() == [0.5]
    with pytest.raises(StoreError, match="another layout"):
        read_accuracies(write(LONG), Layout.lovm)


def test_classes_come_with_their_means(write_parquet):
    frame = pl.DataFrame(
        {
            "dataset": ["mnist"],
            "model": ["a"],
            "pretrained": ["x"],
            "classname": ["0"],
            "acc": [0.5],
        }
    )
    found = read_accuracies(write_parquet(frame))
    assert isinstance(found, ImportedClasses)
    assert found.accuracies.frame["acc1"].to_list() == [0.5]
