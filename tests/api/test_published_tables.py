"""Imported tables of a store: which one counts, what contradicts, and other names of a model."""

from pathlib import Path

import polars as pl
import pytest

from tests.api.imported_tables import (
    accuracy,
    accuracy_table,
    import_accuracies,
    import_profiles,
    profile_table,
)
from vlmsel.api.published_tables import (
    accuracy_tables,
    chosen_accuracies,
    chosen_features,
    chosen_profiles,
    rename_to_known,
)
from vlmsel.errors import StoreError
from vlmsel.published.stored_tables import FEATURE_SCHEMA, write_features
from vlmsel.store.filesystem import open_folder


def test_a_store_without_tables_says_how_to_import_some(tmp_path: Path) -> None:
    for read in (chosen_accuracies, accuracy_tables):
        with pytest.raises(StoreError, match="no imported accuracies: `vlmsel import accuracies"):
            read(tmp_path / "store", ())
    assert chosen_profiles(tmp_path / "store", ()).is_empty()
    assert chosen_features(tmp_path / "store").is_empty()
    assert not (tmp_path / "store").exists()


def test_tables_that_differ_must_be_chosen(tmp_path: Path) -> None:
    store = import_accuracies(tmp_path, name="one")
    other = accuracy_table(value=lambda i, j: 1 - accuracy(i, j))
    import_accuracies(store, other, name="two")
    with pytest.raises(StoreError, match=r"contradict each other on 20 .* --accuracies one,"):
        chosen_accuracies(store, ())
    two = chosen_accuracies(store, ["two"])
    assert two["source"].unique().to_list() == ["two"]
    assert two.filter(model="m1", task="svhn")["acc1"].item() == 1 - accuracy(1, 1)
    assert set(chosen_accuracies(store, ["two", "one"])["source"]) == {"two"}, "the first counts"
    with pytest.raises(StoreError, match="no imported accuracies named 'tow': there is one, two"):
        chosen_accuracies(store, ["tow"])


def test_tables_that_agree_fill_each_other(tmp_path: Path) -> None:
    store = import_accuracies(tmp_path, name="one")
    # The same figures with other rounding.
    rounded = accuracy_table(6, value=lambda i, j: accuracy(i, j) + 4e-4)
    import_accuracies(store, rounded, name="two")
    known = chosen_accuracies(store, ())
    assert known.height == 6 * 5
    assert dict(known["source"].value_counts().iter_rows()) == {"one": 20, "two": 10}


def test_each_table_by_itself(tmp_path: Path) -> None:
    store = import_accuracies(tmp_path, name="one")
    import_accuracies(store, accuracy_table(2), name="two")
    tables = accuracy_tables(store)
    assert {name: table.height for name, table in tables.items()} == {"one": 20, "two": 10}
    assert list(accuracy_tables(store, ["two", "two"])) == ["two"]
    with pytest.raises(StoreError, match="named 'three': there is one, two"):
        accuracy_tables(store, ["three"])


def test_of_two_tables_of_profiles_the_first_named_counts(tmp_path: Path) -> None:
    store = import_profiles(tmp_path, name="one")
    other = profile_table(range(2, 6)).with_columns(conductance=pl.lit(1.0))
    import_profiles(store, other, name="two")
    found = chosen_profiles(store, ["two", "one"])
    of_one = found.filter(pl.col("conductance") < 1)
    assert set(of_one["model"]) == {"m0", "m1"}
    assert set(found["model"]) == {f"m{i}" for i in range(6)}


def test_the_first_table_of_features_by_name_counts(tmp_path: Path) -> None:
    row = {"model": "m0", "pretrained": "x", "task": "mnist"}
    for name, value in (("b", 0.2), ("a", 0.1)):
        features = pl.DataFrame([row]).with_columns(
            pl.lit(value).alias(column) for column in FEATURE_SCHEMA.names[3:]
        )
        write_features(open_folder(tmp_path), features, name)
    assert chosen_features(tmp_path)[FEATURE_SCHEMA.names[3]].to_list() == [0.1]


def test_profiles_find_accuracies_under_the_name_of_the_other_activation() -> None:
    names = {"m3": "RN50"}
    known = accuracy_table().with_columns(
        pl.col("model").replace(names),
        pretrained=pl.when(model="m3").then(pl.lit("openai")).otherwise("pretrained"),
    )
    shapes = profile_table().with_columns(
        pl.col("model").replace({"m3": "RN50-quickgelu"}),
        pretrained=pl.when(model="m3").then(pl.lit("openai")).otherwise("pretrained"),
    )
    renamed, notes = rename_to_known(shapes, known)
    assert notes == ["RN50-quickgelu/openai of the profiles is RN50/openai of the accuracies"]
    assert renamed.height == shapes.height
    assert set(renamed["model"]) == {"m0", "m1", "m2", "RN50"}
    same, none = rename_to_known(profile_table(), accuracy_table(), "features")
    assert none == []
    assert same.equals(profile_table())
