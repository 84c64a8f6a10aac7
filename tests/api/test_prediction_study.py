"""The study of imported predictions."""

from pathlib import Path

import polars as pl
import pytest

from tests.api.imported_tables import import_predictions, prediction_table
from vlmsel.api.prediction_study import has_predictions, prediction_zoos, study_predictions
from vlmsel.errors import SelectionError, StoreError


def test_predictions_are_studied_at_every_number_of_labels(tmp_path: Path) -> None:
    store = import_predictions(tmp_path)
    assert has_predictions(store)
    found = study_predictions(store, labels=(10, 20), n_draws=5)
    assert found.rows.select("table", "n_models", "n_images", "n_labels").rows() == [
        ("own", 6, 60, 10),
        ("own", 6, 60, 20),
    ]
    assert found.rows["realised"].is_between(0, 3).all()
    assert found.left_out.is_empty()
    assert study_predictions(store, labels=(10, 20), n_draws=5).rows.equals(found.rows)


def test_each_kind_of_model_is_a_zoo_of_its_own(tmp_path: Path) -> None:
    table = prediction_table().with_columns(
        pretrained=pl.when(pl.col("model") < "m4").then(pl.lit("big")).otherwise(pl.lit("small"))
    )
    store = import_predictions(tmp_path, table, name="pets")
    found = study_predictions(store, labels=(10,), n_draws=2)
    assert found.rows["table"].to_list() == ["pets: own", "pets: own, big"]
    ((kind, name, reason),) = found.left_out.rows()
    assert (kind, name) == ("zoo", "pets: own, small")
    assert "has 2 models and 3 classes" in reason
    named = table.with_columns(source=pl.lit("own"))
    assert [name for name, _ in prediction_zoos(named)] == ["own", "own, big", "own, small"]


def test_without_predictions_it_says_how_to_import_some(tmp_path: Path) -> None:
    assert not has_predictions(tmp_path)
    with pytest.raises(StoreError, match="no imported predictions: `vlmsel import predictions"):
        study_predictions(tmp_path)


@pytest.mark.parametrize("n_labels", [0, 60])
def test_impossible_numbers_of_labels_are_refused(tmp_path: Path, n_labels: int) -> None:
    store = import_predictions(tmp_path)
    with pytest.raises(SelectionError, match=r"can be studied: own .* labels must be 3 to 59"):
        study_predictions(store, labels=(n_labels,))
