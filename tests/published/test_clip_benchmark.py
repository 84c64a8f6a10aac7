import pytest

from tests.shared_data import DATA
from vlmsel.errors import StoreError
from vlmsel.published import read_clip_benchmark, recognise
from vlmsel.published.layouts import Layout

TABLE = """model_fullname,arch,downstream_dataset,acc1,acc5,mean_per_class_recall,task
ViT-B-32 openai,ViT-B-32,vtab/pets,0.8,0.9,0.81,zeroshot_classification
ViT-B-32 openai,ViT-B-32,imagenet1k,0.6,,0.6,zeroshot_classification
ViT-B-32 openai,ViT-B-32,vtab+,0.5,,,zeroshot_classification
ViT-B-32 openai,ViT-B-32,flickr8k,,,,zeroshot_retrieval
ViT-B-32 openai,ViT-B-32,moon,0.4,,,zeroshot_classification
ViT-B-32 openai,ViT-B-32,voc2007_multilabel,,,,zeroshot_classification
ViT-L-14 Model-L-14_bs-86k.pt,ViT-L-14,vtab/pets,0.7,,,zeroshot_classification
"""


def test_rows_become_cells(write):
    found = read_clip_benchmark(write(TABLE))
    assert found.frame.select("model", "pretrained", "task", "acc1").rows() == [
        ("ViT-B-32", "openai", "imagenet1k", 0.6),
        ("ViT-B-32", "openai", "pets", 0.8),
        ("ViT-L-14", "Model-L-14_bs-86k.pt", "pets", 0.7),
    ]
    assert found.frame["mean_per_class_recall"].to_list() == [0.6, 0.81, None]


def test_what_cannot_be_used_is_listed(write):
    found = read_clip_benchmark(write(TABLE)).left_out
    assert {(what, name) for what, name, *_ in found.rows()} == {
        ("row", "zeroshot_retrieval"),
        ("task", "vtab+"),
        ("task", "moon"),
        ("value", "voc2007_multilabel"),
    }


def test_unknown_data_sets_can_be_kept(write):
    found = read_clip_benchmark(write(TABLE), keep_unknown=True)
    assert "moon" in found.frame["task"].to_list()
    assert found.doubts == ("task moon is not in the name table: kept",)


def test_another_layout_is_refused(write):
    with pytest.raises(StoreError, match="downstream_dataset"):
        read_clip_benchmark(write("model,acc1\na,0.1\n"))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the published tables are not in {DATA}")
def test_the_scaling_study():
    path = DATA / "clip_benchmark" / "probe_openclip_results.csv"
    assert recognise(path) is Layout.clip_benchmark
    found = read_clip_benchmark(path).frame
    assert found.select("model", "pretrained").n_unique() == 34
    assert found["task"].n_unique() == 35
