"""Tables for export: what was measured comes first, then imports by name."""

from pathlib import Path

import polars as pl
import pytest

from tests.api.imported_tables import accuracy_table, import_accuracies, import_predictions
from tests.api.made_store import CLASSES, MODELS, N_IMAGES, TASKS, MadeStore, n_right, true_class
from vlmsel.api.export import ExportSource
from vlmsel.errors import StoreError
from vlmsel.published.stored_tables import write_class_accuracies, write_rankings
from vlmsel.store.filesystem import open_folder


@pytest.fixture
def source(made: MadeStore) -> ExportSource:
    return ExportSource(str(made.store))


def test_accuracies_are_those_of_the_stored_answers(source: ExportSource) -> None:
    found = source.accuracies()
    assert found.select("model", "task").rows() == [(m, t) for m in MODELS for t in TASKS]
    row = found.row(by_predicate=(pl.col("model") == "m2") & (pl.col("task") == "bee"), named=True)
    assert (row["source"], row["n_images"], row["acc5"]) == ("measured", N_IMAGES, None)
    assert row["acc1"] == pytest.approx(n_right("m2", "bee") / N_IMAGES)


def test_classes_are_named_and_make_up_the_accuracy(source: ExportSource) -> None:
    found = source.classes()
    assert found.columns == [
        *("model", "pretrained", "task", "classname", "accuracy", "n_images", "source")
    ]
    of_one = found.filter(model="m2", task="bee")
    assert of_one["classname"].to_list() == sorted(CLASSES)
    assert of_one["n_images"].to_list() == [4, 4, 4]
    assert of_one["accuracy"].mean() == pytest.approx(n_right("m2", "bee") / N_IMAGES)


def test_predictions_are_under_class_names_with_their_confidence(source: ExportSource) -> None:
    found = source.predictions()
    assert found.height == len(MODELS) * len(TASKS) * N_IMAGES
    assert all(true_class(image) == label for image, label in found.select(
        "image_id", "label").iter_rows())  # fmt: skip
    right = found.filter(model="m0", task="odd").filter(pl.col("prediction") == pl.col("label"))
    assert right.height == n_right("m0", "odd")
    assert found["confidence"].is_between(1 / 3, 1).all()


def test_rankings_stand_beside_the_truth(source: ExportSource) -> None:
    found = source.rankings(["average-rank"])
    assert set(found["source"]) == {"measured"}
    first = found.filter(rank=1)
    assert dict(first.select("target", "model").iter_rows()) == dict.fromkeys(TASKS, "m0")
    accuracies = dict(first.select("target", "accuracy").iter_rows())
    assert accuracies["odd"] == pytest.approx(n_right("m0", "odd") / N_IMAGES)


def test_what_was_measured_counts_before_a_table_unless_the_table_is_named_first(
    own_made: MadeStore,
) -> None:
    table = accuracy_table(1, (*TASKS, "mnist"), value=lambda i, j: 0.125)
    table = table.with_columns(pretrained=pl.lit("made"))
    import_accuracies(own_made.store, table, name="paper")
    both = ExportSource(str(own_made.store)).accuracies()
    of_first = dict(both.filter(model="m0").select("task", "source").iter_rows())
    assert of_first == {**dict.fromkeys(TASKS, "measured"), "mnist": "paper"}
    named = ExportSource(str(own_made.store), sources=["paper", "measured"]).accuracies()
    assert set(named.filter(model="m0")["acc1"]) == {0.125}
    alone = ExportSource(str(own_made.store), sources=["paper"]).accuracies()
    assert alone.height == 7


def test_a_store_of_tables_alone_gives_them_back(tmp_path: Path) -> None:
    import_predictions(import_accuracies(tmp_path))
    cell = {"model": ["m0"], "pretrained": ["x"], "task": ["mnist"]}
    classes = pl.DataFrame({**cell, "classname": ["7"], "accuracy": [0.5], "n_images": [4]})
    write_class_accuracies(open_folder(tmp_path), classes, "own")
    ranks = pl.DataFrame({"target": ["mnist"], "selector": ["s"], "rank": [1], "model": ["m0"],
                          "pretrained": ["x"], "score": [0.1], "accuracy": [0.9]})  # fmt: skip
    write_rankings(open_folder(tmp_path), ranks, "own")
    source = ExportSource(str(tmp_path), sources=["own"])
    assert source.accuracies().height == 4 * 5
    assert source.classes()["accuracy"].to_list() == [0.5]
    assert source.predictions().height == 6 * 60
    assert source.rankings().drop("source").equals(ranks.select(source.rankings().columns[:-1]))
    judged = ExportSource(str(tmp_path)).rankings(["average-rank"])
    assert set(judged["source"]) == {"measured"}
    assert judged["target"].n_unique() == 5


@pytest.mark.parametrize("kind", ["accuracies", "classes", "predictions"])
def test_a_source_that_is_unknown_is_named(made: MadeStore, kind: str) -> None:
    with pytest.raises(StoreError, match="'nobody'"):
        getattr(ExportSource(str(made.store), sources=["nobody"]), kind)()


@pytest.mark.parametrize("kind", ["accuracies", "classes", "predictions"])
def test_an_empty_store_knows_nothing(tmp_path: Path, kind: str) -> None:
    with pytest.raises(StoreError, match=f"knows no {kind}: `vlmsel accuracy` measures some"):
        getattr(ExportSource(str(tmp_path)), kind)()
