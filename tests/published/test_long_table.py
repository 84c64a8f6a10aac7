import pytest

from vlmsel.errors import StoreError
from vlmsel.published import read_long_table

TABLE = """model,pretrained,task,accuracy,note
a,x,My Defects,0.8,good
a,x,CIFAR-10,0.7,
b,x,My Defects,,
"""


def test_a_table_of_ones_own_keeps_its_names(write):
    found = read_long_table(write(TABLE))
    assert found.frame.select("model", "task", "acc1").rows() == [
        ("a", "My Defects", 0.8),
        ("a", "cifar10", 0.7),
    ]
    assert found.doubts == ("task My Defects is not in the name table: kept",)
    assert {row[:2] for row in found.left_out.rows()} == {
        ("column", "note"),
        ("value", "My Defects"),
    }


def test_unknown_names_can_be_left_out(write):
    found = read_long_table(write(TABLE), keep_unknown=False)
    assert found.frame["task"].to_list() == ["cifar10"]


@pytest.mark.parametrize("word", ["acc1", "acc", "accuracy"])
def test_other_words(write, word):
    found = read_long_table(write(f"model,pretrained,dataset,{word}\na,x,mnist,0.5\n"))
    assert found.frame["acc1"].to_list() == [0.5]


PROMPTS = """model,pretrained,dataset,prompts,acc
a,x,mnist,class,50
a,x,mnist,ensemble,60
"""


def test_kinds_of_prompts(write):
    path = write(PROMPTS)
    assert read_long_table(path, percent=True).frame["acc1"].to_list() == [0.6]
    chosen = read_long_table(path, percent=True, prompts="class")
    assert chosen.frame["acc1"].to_list() == [0.5]
    assert chosen.left_out["reason"].to_list() == ["other prompts than class"]
    with pytest.raises(StoreError, match="choose with --prompts of class, ensemble"):
        read_long_table(path, prompts="many")


def test_prompts_of_a_table_without_them(write):
    with pytest.raises(StoreError, match="no column prompts"):
        read_long_table(write(TABLE), prompts="class")


def test_another_layout(write):
    with pytest.raises(StoreError, match="expected model, pretrained, task and accuracy"):
        read_long_table(write("model,pretrained,score\na,x,1\n"))


def test_percentages_must_be_said(write):
    with pytest.raises(StoreError, match="--percent"):
        read_long_table(write("model,pretrained,task,accuracy\na,x,mnist,50\n"))
