"""Judging selectors on what a store knows, as from Python."""

from pathlib import Path

import pytest

from tests.api.imported_tables import accuracy_table, import_accuracies
from tests.api.made_store import TASKS, MadeStore
from vlmsel import evaluate
from vlmsel.api.evaluate import gather_knowledge
from vlmsel.errors import SelectionError, StoreError
from vlmsel.store import Store


def test_a_measured_store_is_judged_on_its_own_tasks(made: MadeStore) -> None:
    found = evaluate(made.store, selectors=["average-rank", "dcd"])
    assert set(found.metrics["selector"]) == {"average-rank", "dcd"}
    assert set(found.metrics["target"]) == set(TASKS)
    summary = found.summary().filter(selector="average-rank", metric="tau")
    # Five tasks in one order, one in the other.
    assert summary["mean"].item() == pytest.approx(4 / 6)


def test_a_store_of_tables_is_judged_on_them(tmp_path: Path) -> None:
    import_accuracies(tmp_path, accuracy_table(tasks=("mnist", "svhn", "dtd")))
    for store in (tmp_path, Store(tmp_path)):
        found = evaluate(store, selectors=["average-rank"])
        assert set(found.metrics["target"]) == {"mnist", "svhn", "dtd"}
    knowledge, workspace = gather_knowledge(tmp_path)
    assert workspace is None
    assert knowledge.about == f"imported tables own, store {tmp_path}"


def test_tables_are_taken_beside_a_run_on_request(own_made: MadeStore) -> None:
    with pytest.raises(StoreError, match="no imported accuracies"):
        evaluate(own_made.store, imported=True)
    import_accuracies(own_made.store)
    found = evaluate(own_made.store, imported=True, selectors=["average-rank"])
    assert set(found.metrics["target"]).isdisjoint(TASKS)
    knowledge, workspace = gather_knowledge(own_made.store)
    assert workspace is not None
    assert set(knowledge.accuracies["task"]) == set(TASKS)


def test_what_is_misspelt_is_named(made: MadeStore) -> None:
    with pytest.raises(SelectionError, match="did you mean dcd"):
        evaluate(made.store, selectors=["dcdd"])
