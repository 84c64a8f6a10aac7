"""The study of picking orders: pools of a store's own answers and of imported predictions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.api.imported_tables import import_predictions, prediction_table
from tests.api.made_store import N_IMAGES, TASKS, MadeStore, n_right
from vlmsel.api.order_study import imported_pool, store_pools, study_orders
from vlmsel.errors import SelectionError, StoreError


def test_pools_hold_the_stored_answers_with_their_probabilities(made: MadeStore) -> None:
    pools = store_pools(made.workspace())
    assert [pool.name for pool in pools] == list(TASKS)
    pool = pools[0].pool
    assert pool.classes.shape == (5, N_IMAGES)
    right = (pool.classes == pools[0].truth).sum(axis=1)
    assert right.tolist() == [n_right(f"m{i}", "ant") for i in range(5)]
    assert pool.probabilities is not None
    np.testing.assert_allclose(pool.probabilities.sum(axis=2), 1)
    assert (pool.probabilities.argmax(axis=2) == pool.classes).all()


def test_orders_are_judged_on_the_store_and_on_imports(own_made: MadeStore) -> None:
    import_predictions(own_made.store, prediction_table(4, 20))
    found = study_orders(own_made.store, labels=(4,), n_draws=1)
    assert set(found.rows["table"]) == {"store", "own"}
    of_store = found.rows.filter(table="store")
    assert {"random", "coda", "vma"} <= set(of_store["selector"])
    assert "coda" not in set(found.rows.filter(table="own")["selector"])
    ((kind, name, reason),) = found.left_out.rows()
    assert (kind, name) == ("zoo", "own")
    assert reason.startswith("not every model states confidences")


def test_tasks_of_too_few_images_are_named(made: MadeStore) -> None:
    with pytest.raises(StoreError, match="holds no answers on labelled images: `vlmsel measure"):
        study_orders(made.store, labels=(50,))


def test_a_confidence_spreads_the_rest_over_the_other_classes() -> None:
    table = prediction_table(3, 20).with_columns(confidence=pl.lit(0.7))
    pool = imported_pool("own", table).pool
    assert pool.probabilities is not None
    assert sorted(pool.probabilities[0, 0].round(9).tolist()) == [0.15, 0.15, 0.7]
    some = table.with_columns(
        confidence=pl.when(model="m0").then(None).otherwise(pl.col("confidence"))
    )
    assert imported_pool("own", some).pool.probabilities is None


def test_a_pool_needs_three_models(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="own has 2 models and 3 classes; 3 models"):
        imported_pool("own", prediction_table(2, 20))
    store = import_predictions(tmp_path, prediction_table(2, 20))
    with pytest.raises(StoreError, match="`vlmsel import predictions FILE"):
        study_orders(store, labels=(4,))
