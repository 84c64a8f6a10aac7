"""The study of labels on imported tables, with few draws."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.api.imported_tables import (
    accuracy_table,
    import_accuracies,
    import_profiles,
    profile_table,
)
from vlmsel.api.label_study import published_tables, study_labels
from vlmsel.errors import SelectionError, StoreError


def noisy_table() -> pl.DataFrame:
    """Eight models on eleven tasks and ImageNet."""
    rng = np.random.default_rng(0)
    skill = rng.normal(0.6, 0.08, 8)
    tasks = [*(f"task{i}" for i in range(11)), "imagenet1k"]
    return accuracy_table(
        8, tasks, value=lambda i, _: float(np.clip(skill[i] + rng.normal(0, 0.1), 0, 1))
    )


def test_labels_are_compared_with_both_rivals_at_every_number() -> None:
    found = study_labels({"own": noisy_table()}, labels=(0, 50), n_draws=2)
    rows = found.rows
    assert set(rows["table"]) == {"own"}
    assert set(rows["rival"]) == {"average-rank", "imagenet"}
    assert set(rows["n_targets"]) == {11}
    posterior = rows.filter(selector="posterior", rival="average-rank", metric="tau")
    gains = dict(posterior.select("n_labels", "delta").iter_rows())
    assert gains[0] == pytest.approx(0), "without labels it is average rank"
    assert gains[50] > 0
    assert found.calibration is None
    assert found.stopping is None


def test_the_advice_is_held_against_the_truth_on_request() -> None:
    table = noisy_table().filter(pl.col("task").is_in(["task0", "task1", "task2"]))
    found = study_labels({"own": table}, labels=(5,), n_draws=1, calibration=True)
    assert found.calibration is not None
    assert found.stopping is not None
    assert set(found.calibration["table"]) == set(found.stopping["table"]) == {"own"}


def test_a_table_that_cannot_be_studied_is_named_beside_the_others() -> None:
    tables = {"small": accuracy_table(4, ("mnist",)), "own": accuracy_table()}
    found = study_labels(tables, labels=(5,), n_draws=1)
    assert set(found.rows["table"]) == {"own"}
    kind, name, reason = found.left_out.row(0)
    assert (kind, name) == ("table", "small")
    assert reason.startswith("no task can be held out")
    with pytest.raises(SelectionError, match="no table can be studied: no task can be held out"):
        study_labels({"small": tables["small"]})
    with pytest.raises(SelectionError, match="no table can be studied: there is none"):
        study_labels({})


@pytest.mark.parametrize("impossible", [{"labels": (-1,)}, {"labels": ()}, {"n_draws": 0}])
def test_impossible_numbers_are_refused(impossible: dict) -> None:
    with pytest.raises(SelectionError, match="0 or more, and draws 1 or more"):
        study_labels({"own": accuracy_table()}, **impossible)


def test_tables_are_narrowed_to_what_is_profiled(tmp_path: Path) -> None:
    tasks = ("mnist", "svhn", "imagenet1k")
    store = import_accuracies(tmp_path, accuracy_table(tasks=tasks))
    import_profiles(store, profile_table(range(2), ("mnist",)))
    assert published_tables(store)["own"].height == 4 * 3
    narrow = published_tables(store, ["own"], ["own"])["own"]
    assert set(narrow.filter(pl.col("task") != "imagenet1k").select("model", "task").rows()) == {
        ("m0", "mnist"),
        ("m1", "mnist"),
    }
    assert narrow.filter(task="imagenet1k").height == 4, "a reference needs no profile"
    with pytest.raises(StoreError, match="no imported accuracies named 'other': there is own"):
        published_tables(store, ["other"])
