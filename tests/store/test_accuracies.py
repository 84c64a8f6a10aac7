"""Accuracies: measured ones win, imports fill in, conflicts are named."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from vlmsel.errors import StoreError
from vlmsel.store import AccuracyStore
from vlmsel.store.filesystem import open_folder

COLUMNS = ["model", "pretrained", "task", "acc1", "acc5", "mean_per_class_recall", "n_images"]


def row(acc1: float, **rest: float) -> pa.Table:
    return pa.table({name: [value] for name, value in {"acc1": acc1, **rest}.items()})


def published(acc1: float, task: str = "cars") -> pl.DataFrame:
    return pl.DataFrame({"model": ["m"], "pretrained": ["p"], "task": [task], "acc1": [acc1]})


def test_what_is_written_is_read(store_uri: str) -> None:
    store = AccuracyStore(store_uri)
    assert store.scan().is_empty()
    assert store.scan().columns == [*COLUMNS, "source"]
    store.write("m/x", "p", "cars", "k1", row(0.5, n_images=10))
    store.write("m/x", "p", "cars", "k1", row(0.9))
    assert store.has("m/x", "p", "cars", "k1")
    assert not store.has("m/x", "p", "cars", "k2")
    assert store.scan().rows() == [("m/x", "p", "cars", 0.5, None, None, 10, "measured")]


def test_measured_wins_over_imported(store_uri: str) -> None:
    store = AccuracyStore(store_uri)
    store.import_accuracies(pl.concat([published(0.1), published(0.2, "dtd")]), "lovm")
    store.write("m", "p", "cars", "k", row(0.5))
    assert store.scan().select("task", "acc1", "source").rows() == [
        ("cars", 0.5, "measured"),
        ("dtd", 0.2, "lovm"),
    ]


def test_sources_choose_and_order(tmp_path: Path) -> None:
    store = AccuracyStore(tmp_path)
    store.write("m", "p", "cars", "k", row(0.5))
    store.import_accuracies(published(0.1), "b")
    store.import_accuracies(pl.concat([published(0.2), published(0.3, "dtd")]), "c")
    picked = store.scan(sources=["c", "b"]).select("task", "acc1")
    assert picked.rows() == [("cars", 0.2), ("dtd", 0.3)]
    assert store.scan(sources=["b"]).select("task", "acc1").rows() == [("cars", 0.1)]
    assert store.scan()["acc1"].to_list() == [0.5, 0.3]
    with pytest.raises(StoreError, match="no accuracies from 'd'"):
        store.scan(sources=["d"])


def test_import_again_replaces(store_uri: str) -> None:
    store = AccuracyStore(store_uri)
    for acc1 in (0.1, 0.1, 0.4):
        store.import_accuracies(published(acc1), "lovm")
        assert store.scan()["acc1"].to_list() == [acc1]
        assert len(open_folder(store_uri).files("imported")) == 1


@pytest.mark.parametrize("name", ["measured", "a/b", "", "../x"])
def test_impossible_import_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="import name"):
        AccuracyStore(tmp_path).import_accuracies(published(0.1), name)


def test_changed_measurements_ask_for_zoo_and_tasks(tmp_path: Path) -> None:
    store = AccuracyStore(tmp_path)
    store.write("m", "p", "cars", "old", row(0.5))
    store.write("m", "p", "cars", "new", row(0.6))
    with pytest.raises(StoreError, match=r"m/p on cars; .* pass zoo and tasks"):
        store.scan()
    assert store.scan(keys={"new"})["acc1"].to_list() == [0.6]


def test_corrupt_files_are_refused_and_set_aside(store_uri: str) -> None:
    store, folder = AccuracyStore(store_uri), open_folder(store_uri)
    store.write("m", "p", "cars", "k", row(0.5))
    (path,) = folder.files("accuracies")
    folder.write_atomic(path, folder.read(path)[:-1])
    with pytest.raises(StoreError, match="corrupt"):
        store.scan()
    assert store.verify() == [("m", "p", "cars", "k")]
    assert not store.has("m", "p", "cars", "k")
    assert store.scan().is_empty()
    assert len(folder.files("quarantine")) == 1


def test_a_row_of_another_model_is_refused(tmp_path: Path) -> None:
    rows = row(0.5).append_column("model", pa.array(["other"]))
    with pytest.raises(StoreError, match="rows have model"):
        AccuracyStore(tmp_path).write("m", "p", "cars", "k", rows)
