"""Readers of transferability tables: every layout, what is left out, what is refused."""

import polars as pl
import pytest

from tests.shared_data import DATA
from vlmsel.errors import StoreError
from vlmsel.published.model_sizes import model_sizes
from vlmsel.published.printed_taus import printed_taus
from vlmsel.published.transferability import as_accuracies, read_transferability

PUBLISHED = DATA / "transferability"

FINE_TUNED = """source,pool,setting,dataset,model,accuracy
x,cnn (2 CNNs),fine-tune,pets,resnet34,80
x,cnn (2 CNNs),fine-tune,pets,resnet50,90
"""
LIBRARY = """dataset,model,finetune_acc,logme,nce
OxfordIIITPets,Inception V3,80,0.5,-1
OxfordIIITPets,MNasNet,90,0.6,
"""
SPIDER = """Dataset,Model,H-Score
Pet,inception_v3,3
"""
PROBES = """model,pretrained,upstream_dataset,dataset,fewshot_k,lp_acc1
ViT-B-32,openai,x,vtab/pets,-1,0.8
ViT-B-32,openai,x,vtab/pets,10,0.7
ViT-B-32,openai,x,cifar100,-1,0.6
ViT-B-32,openai,x,vtab/cifar100,-1,0.6
"""


@pytest.fixture
def read(tmp_path):
    def make(*texts):
        paths = [tmp_path / f"{i}.csv" for i in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return read_transferability(paths)

    return make


def test_every_layout_becomes_one_shape(read):
    found = read(FINE_TUNED, LIBRARY, SPIDER, PROBES)
    rows = found.accuracies.rows()
    assert ("cnn", "pets", "resnet34", "imagenet", 0.8) in rows
    assert ("tll-cnn", "pets", "inception_v3", "imagenet", 0.8) in rows
    assert ("tll-cnn", "pets", "mnasnet1_0", "imagenet", 0.9) in rows
    assert ("clip-probe", "pets", "ViT-B-32", "openai", 0.8) in rows
    assert set(found.scores["estimator"]) == {
        "logme", "nce", "hscore (Model-Spider)", "few-shot-probe-10",
    }  # fmt: skip
    left_out = found.left_out.rows()
    assert ("task", "vtab/cifar100", 1, "the same data set without vtab/") in left_out
    assert ("value", "pets", 1, "no score") in left_out
    assert found.accuracies.filter(task="cifar100").height == 1


def test_a_pool_as_the_store_keeps_accuracies(read):
    found = read(FINE_TUNED)
    table = as_accuracies(found, "cnn")
    assert table.columns == [
        "model", "pretrained", "task", "acc1", "acc5", "mean_per_class_recall", "n_images",
    ]  # fmt: skip
    assert table["acc1"].to_list() == [0.8, 0.9]
    with pytest.raises(StoreError, match="no pool 'vit' in these tables; there is cnn"):
        as_accuracies(found, "vit")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "like none of the transferability tables"),
        (FINE_TUNED.replace("80", "eighty"), "'eighty' in column accuracy is no number"),
        (FINE_TUNED.replace("80", "180"), "not between 0 and 100 percent"),
        (FINE_TUNED.replace("resnet50", "resnet34"), "contradicts itself"),
        (FINE_TUNED.replace("resnet50", ""), "lack a model, pool or data set"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_read_is_refused(read, text, says):
    with pytest.raises(StoreError, match=says):
        read(text)


def test_tables_given_twice_or_not_at_all_are_refused(read, tmp_path):
    with pytest.raises(StoreError, match="several tables hold cnn, pets, resnet34"):
        read(FINE_TUNED, FINE_TUNED)
    with pytest.raises(StoreError, match="no table of transferability is given"):
        read_transferability([])
    with pytest.raises(StoreError, match="is not there"):
        read_transferability([tmp_path / "no.csv"])


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published tables are not here")
def test_the_published_tables_are_read_whole():
    found = read_transferability([PUBLISHED])
    counts = found.accuracies.group_by("pool").agg(
        pl.col("task").n_unique(), n=pl.struct("model", "pretrained").n_unique(), rows=pl.len()
    )
    assert sorted(counts.rows()) == [
        ("clip-probe", 20, 12, 240),
        ("sfda-cnn", 11, 11, 121),
        ("sfda-ssl", 13, 12, 156),
        ("tll-cnn", 8, 10, 80),
    ]
    # Both tables of the library's pool speak of the same models and tasks.
    assert found.scores.filter(pool="tll-cnn").height == 80 * (4 + 9)
    assert set(found.accuracies["model"]) - set(model_sizes()) == set(
        found.accuracies.filter(pool="sfda-ssl")["model"]
    )


def test_shipped_facts():
    sizes = model_sizes()
    assert sizes["resnet50"] == 25_557_032
    from torchvision.models import resnet34

    assert sizes["resnet34"] == sum(
        parameter.numel() for parameter in resnet34(weights=None).parameters()
    )
    printed = printed_taus()
    assert printed["weighted_tau"].is_between(-1, 1).all()
    assert printed["source"].null_count() == 0
