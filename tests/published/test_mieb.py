import pytest

from tests.shared_data import DATA
from vlmsel.errors import StoreError
from vlmsel.published import read_mieb, recognise
from vlmsel.published.layouts import Layout
from vlmsel.published.mieb import Protocol

TABLE = """model,revision,task,split,subset,main_score,accuracy
openai__clip,1,CIFAR10ZeroShot,test,default,0.8,0.8
openai__clip,1,CLEVRZeroShot,test,default,0.2,0.2
openai__clip,1,CLEVRCountZeroShot,test,default,0.3,0.3
openai__clip,1,MoonZeroShot,test,default,0.3,0.3
openai__clip,1,CIFAR10,test,default,0.9,0.9
openai__clip,1,Food101Classification,validation,default,0.7,0.7
openai__clip,1,VOC2007,test,default,0.9,0.1
openai__clip,1,WITT2IRetrieval,test,en,0.5,
"""


def test_zero_shot_tasks(write):
    found = read_mieb(write(TABLE))
    assert found.frame.select("model", "pretrained", "task", "acc1").rows() == [
        ("openai/clip", "hub", "cifar10", 0.8),
        ("openai/clip", "hub", "clevr_closest_object_distance", 0.2),
        ("openai/clip", "hub", "clevr_count_all", 0.3),
    ]
    assert {(what, name) for what, name, *_ in found.left_out.rows()} == {
        ("row", "linear probes"),
        ("row", "retrieval, clustering, reasoning and other tasks"),
        ("task", "Moon"),
    }


def test_linear_probes(write):
    found = read_mieb(write(TABLE), protocol=Protocol.linear_probe)
    assert found.frame["task"].to_list() == ["cifar10", "food101"]
    reasons = dict(found.left_out.select("name", "reason").rows())
    assert reasons["VOC2007"] == "accuracy is not its main score"


def test_unknown_zero_shot_sets_can_be_kept(write):
    assert "Moon" in read_mieb(write(TABLE), keep_unknown=True).frame["task"].to_list()


def test_a_table_without_the_protocol(write):
    text = "model,task,main_score,accuracy\na,WITT2IRetrieval,0.1,0.2\n"
    with pytest.raises(StoreError, match="no zero-shot classification"):
        read_mieb(write(text))


def test_two_values_of_one_cell_contradict(write):
    row = "openai__clip,1,CIFAR10ZeroShot,test,other,0.7,0.7\n"
    with pytest.raises(StoreError, match="contradicts itself"):
        read_mieb(write(TABLE + row))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the published tables are not in {DATA}")
def test_the_whole_table():
    path = DATA / "mieb" / "mieb_long.csv"
    assert recognise(path) is Layout.mieb
    found = read_mieb(path).frame
    sizes = found.group_by("task").len()["len"].value_counts().sort("len").rows()
    assert sizes == [(42, 15), (49, 7)]
