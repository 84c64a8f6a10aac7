import polars as pl
import pytest

from vlmsel.errors import StoreError
from vlmsel.published import read_class_accuracies

FRAME = pl.DataFrame(
    {
        "dataset": ["stanfordcars"] * 3 + ["let_it_wag"],
        "model": ["ViT-B-32"] * 4,
        "pretrained": ["openai"] * 4,
        "classname": ["a", "b", "c", "d"],
        "acc": [50.0, 0.0, 100.0, 25.0],
    }
)


def test_classes_and_their_mean(write_parquet):
    found = read_class_accuracies(write_parquet(FRAME))
    assert found.classes.frame.rows()[1:3] == [
        ("ViT-B-32", "openai", "cars", "b", 0.0, None),
        ("ViT-B-32", "openai", "cars", "c", 1.0, None),
    ]
    means = found.accuracies.frame
    assert means.select("task", "acc1", "mean_per_class_recall").rows() == [
        ("cars", 0.5, 0.5),
        ("let_it_wag", 0.25, 0.25),
    ]
    assert found.accuracies.doubts == (
        "acc1 is the mean over the classes: the table tells no sizes of classes",
    )


def test_fractions_stay(write_parquet):
    path = write_parquet(FRAME.with_columns(pl.col("acc") / 100))
    assert read_class_accuracies(path).accuracies.frame["acc1"].to_list() == [0.5, 0.25]


def test_a_missing_value_is_counted(write_parquet):
    path = write_parquet(FRAME.with_columns(acc=pl.when(pl.col("acc") != 25).then("acc")))
    found = read_class_accuracies(path).classes
    assert found.left_out.rows() == [("value", "let_it_wag", 1, "missing class or accuracy")]


def test_two_values_of_a_class(write_parquet):
    twice = pl.concat([FRAME, FRAME.head(1).with_columns(acc=pl.lit(51.0))])
    with pytest.raises(StoreError, match="contradicts itself"):
        read_class_accuracies(write_parquet(twice))


def test_no_parquet(write):
    with pytest.raises(StoreError, match="cannot be read as Parquet"):
        read_class_accuracies(write("dataset,acc\n", "table.parquet"))
