"""Export of a measured store and back by import, through the real command line."""

import json

import polars as pl
import pytest

from vlmsel.published import stored_tables
from vlmsel.published.stored_tables import read_class_accuracies, read_predictions, read_rankings
from vlmsel.store.store import Store


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_everything_comes_back(lab, vlmsel, tmp_path, suffix):
    out, again = tmp_path / "out", tmp_path / "again"
    out.mkdir()
    for kind in ("accuracies", "classes", "predictions", "rankings"):
        file = out / f"{kind}.{suffix}"
        more = ["--selector", "average-rank"] if kind == "rankings" else []
        assert vlmsel("export", kind, file, "--store", lab.store, *more).code == 0
        word = "accuracies" if kind == "classes" else kind
        answer = vlmsel("import", word, file, "--store", again, "--name", kind)
        assert answer.code == 0, answer.err
        assert "warning" not in answer.err
    store = Store(again)
    first = pl.read_parquet if suffix == "parquet" else pl.read_csv
    exported = first(out / f"accuracies.{suffix}")
    back = stored_tables.read_accuracies(store.folder).filter(source="accuracies")
    assert back.drop("source").equals(exported.drop("source").cast(back.drop("source").schema))
    assert back.height == 4 * 6
    assert back["n_images"].null_count() == 0
    classes = read_class_accuracies(store.folder)
    assert classes.height == first(out / f"classes.{suffix}").height
    assert read_predictions(store.folder).height == 4 * 6 * 16
    ranks = read_rankings(store.folder)
    assert ranks["target"].n_unique() == 6
    # Out again from the store of imports alone, and equal.
    for kind, source in (("accuracies", "accuracies"), ("rankings", "rankings")):
        file = out / f"second-{kind}.{suffix}"
        answer = vlmsel("export", kind, file, "--store", again, "--source", source)
        assert answer.code == 0, answer.err
        second, before = first(file), first(out / f"{kind}.{suffix}")
        assert second.drop("source").equals(before.drop("source"))


def test_a_file_that_is_there_is_not_touched(lab, vlmsel, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("mine")
    answer = vlmsel("export", "accuracies", file, "--store", lab.store)
    assert answer.code == 2
    assert "--overwrite" in answer.error
    assert file.read_text() == "mine"
    answer = vlmsel("export", "accuracies", file, "--store", lab.store, "--overwrite", "--json")
    assert json.loads(answer.out)["rows"] == 24
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_wide_latex_and_clip_benchmark(lab, vlmsel, tmp_path):
    wide, latex, long = (tmp_path / name for name in ("w.csv", "w.tex", "b.csv"))
    assert vlmsel("export", "accuracies", wide, "--store", lab.store, "--layout", "wide").code == 0
    assert pl.read_csv(wide).columns[:2] == ["name", "pretrained"]
    assert pl.read_csv(wide).shape == (4, 8)
    assert vlmsel("export", "accuracies", latex, "--store", lab.store).code == 0
    assert latex.read_text().startswith("\\begin{tabular}{llrrrrrr}")
    args = ("--store", lab.store, "--layout", "clip-benchmark")
    assert vlmsel("export", "accuracies", long, *args).code == 0
    answer = vlmsel("import", "accuracies", long, "--store", tmp_path / "s", "--keep-unknown")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["accuracies", "a.txt"], "says no format"),
        (["accuracies", "a.csv", "--source", "nobody"], "nobody"),
        (["predictions", "a.csv", "--store", "empty"], "knows no predictions"),
    ],
)
def test_what_cannot_be_exported(lab, vlmsel, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    store = [] if "--store" in args else ["--store", lab.store]
    answer = vlmsel("export", *args, *store)
    assert answer.code == 2
    assert said in answer.error
    assert not (tmp_path / "a.csv").exists()
