"""Exported tables come back by import, word for word and digit for digit."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.errors import StoreError
from vlmsel.published.class_accuracies import ImportedClasses
from vlmsel.published.image_predictions import read_image_predictions
from vlmsel.published.layouts import Layout, read_accuracies, recognise
from vlmsel.published.own_tables import COLUMNS, read_exported
from vlmsel.published.table_files import table_bytes
from vlmsel.published.table_layouts import (
    TableLayout,
    lay_out_accuracies,
    lay_out_classes,
    lay_out_predictions,
)

NAMES = st.text(
    st.one_of(st.sampled_from("=+-@',\"\r\n /"), st.characters(exclude_categories=["Cs", "Cc"])),
    min_size=1,
    max_size=6,
)
FRACTIONS = st.floats(0, 1)
ROWS = st.lists(
    st.tuples(NAMES, NAMES, NAMES, FRACTIONS, st.none() | FRACTIONS, st.none() | st.integers(1, 9)),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row[:3],
)


def accuracies(rows):
    schema = COLUMNS["accuracies"]
    full = [(*key, acc1, acc5, acc5, n, "measured") for *key, acc1, acc5, n in rows]
    return pl.DataFrame(full, schema=schema, orient="row")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(rows=ROWS)
def test_accuracies_come_back(tmp_path_factory, suffix, rows):
    path = tmp_path_factory.mktemp("t") / f"a{suffix}"
    table = accuracies(rows)
    path.write_bytes(table_bytes(lay_out_accuracies(table, TableLayout.long), suffix))
    assert recognise(path) is Layout.vlmsel
    found = read_accuracies(path)
    key = ["model", "pretrained", "task"]
    assert found.frame.equals(table.drop("source").sort(key))
    assert found.left_out.is_empty()
    assert found.doubts == ()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_names_that_mean_something_elsewhere_stay(tmp_path, suffix):
    rows = [("none", "-", "CIFAR-10", 0.5, None, 3), (" nan ", "NA", "=imagenet", 0.25, 0.5, None)]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(table_bytes(accuracies(rows), suffix))
    assert read_accuracies(path).frame.select("model", "pretrained", "task").rows() == [
        (" nan ", "NA", "=imagenet"),
        ("none", "-", "CIFAR-10"),
    ]


@pytest.mark.parametrize("layout", [TableLayout.wide, TableLayout.clip_benchmark])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_layouts_of_others_keep_their_figures(tmp_path, layout, suffix):
    rows = [("ViT-B-32", "openai", "cifar10", 1 / 3, None, 3), ("a", "b", "mine", 0.7, None, 3)]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(table_bytes(lay_out_accuracies(accuracies(rows), layout), suffix))
    wanted = {TableLayout.wide: Layout.openclip, TableLayout.clip_benchmark: Layout.lovm}
    assert recognise(path) is wanted[layout]
    found = read_accuracies(path, keep_unknown=True).frame
    assert found.select("model", "pretrained", "task", "acc1").rows() == [
        ("ViT-B-32", "openai", "cifar10", 1 / 3),
        ("a", "b", "mine", 0.7),
    ]


def test_a_task_that_cannot_be_a_column(tmp_path):
    with pytest.raises(StoreError, match="--layout long"):
        lay_out_accuracies(accuracies([("a", "b", "average", 0.5, None, 1)]), TableLayout.wide)


def test_classes_come_back_with_their_sizes(tmp_path):
    table = pl.DataFrame(
        {
            "model": ["m", "m"],
            "pretrained": ["p", "p"],
            "task": ["t", "t"],
            "classname": ["=cat", "dog"],
            "accuracy": [0.5, 1.0],
            "n_images": [2, 6],
            "source": ["measured"] * 2,
        }
    )
    path = tmp_path / "c.csv"
    path.write_bytes(table_bytes(lay_out_classes(table), ".csv"))
    found = read_accuracies(path)
    assert isinstance(found, ImportedClasses)
    assert found.classes.frame.equals(table.drop("source"))
    means = found.accuracies.frame.row(0, named=True)
    assert (means["acc1"], means["mean_per_class_recall"], means["n_images"]) == (0.875, 0.75, 8)


def test_predictions_come_back_and_those_without_a_label_are_named(tmp_path):
    table = pl.DataFrame(
        {
            "model": ["m"] * 3,
            "pretrained": ["p"] * 3,
            "task": ["t"] * 3,
            "image_id": ["-1.png", "b.png", "c.png"],
            "prediction": ["cat", None, "dog"],
            "confidence": [1 / 3, None, 0.5],
            "label": ["cat", "dog", None],
            "source": ["measured"] * 3,
        }
    )
    path = tmp_path / "p.csv"
    path.write_bytes(table_bytes(lay_out_predictions(table), ".csv"))
    found = read_image_predictions(path)
    assert found.frame.equals(table.drop("source").head(2))
    assert found.left_out["reason"].to_list() == ["no label"]
    with pytest.raises(StoreError, match="names its tasks itself"):
        read_image_predictions(path, task="other")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("m,p,t,x,,,,measured", "is no number"),
        ("m,p,t,inf,,,,measured", "is no number"),
        ("m,,t,0.5,,,,measured", "lacks something"),
        ("m,p,t,0.5,,,,a\nm,p,t,0.6,,,,b", "comes twice"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, text, complaint):
    path = tmp_path / "a.csv"
    path.write_text(",".join(COLUMNS["accuracies"]) + f"\n{text}\n")
    with pytest.raises(StoreError, match=complaint):
        read_exported(path, "accuracies")
