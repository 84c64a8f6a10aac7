"""Probes of stored embeddings, and who foretells them."""

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.api.imported_tables import import_accuracies
from tests.api.made_store import MODELS, TASKS, MadeStore
from vlmsel.api.probe_use import (
    evaluate_imported_use,
    evaluate_use,
    imported_probes,
    model_sizes,
    probe_evidence,
)
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.probe_cache import ProbeCache
from vlmsel.evaluation.probe_work import ProbeOptions
from vlmsel.published.stored_tables import write_probes
from vlmsel.store.filesystem import open_folder

OPTIONS = ProbeOptions(shots=(1,), draws=1, estimators=("logme", "zero-shot"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ProbeCache:
    """Shared by these tests: probes take the longest."""
    return ProbeCache(tmp_path_factory.mktemp("probes"))


def test_every_model_is_probed_on_every_task_once(own_made: MadeStore, cache: ProbeCache) -> None:
    """No profile is needed."""
    shutil.rmtree(own_made.store / "profile")
    workspace, done = own_made.workspace(), []
    found = probe_evidence(
        workspace, OPTIONS, cache=cache, on_model=lambda *told: done.append(told)
    )
    # Of all images, and of one per class.
    assert found.n_computed + found.n_kept == 2 * len(MODELS) * len(TASKS)
    assert len(found.tables.results) == 2 * len(MODELS) * len(TASKS)
    assert found.left_out == ()
    again = probe_evidence(workspace, OPTIONS, cache=cache)
    assert (again.n_computed, again.n_kept) == (0, 60)
    assert again.tables.results == found.tables.results
    judged = evaluate_use(workspace, found, "probe")
    names = set(judged.metrics["selector"])
    assert {"average-rank", "zero-shot", "zero-shot@1"} <= names
    assert "size" not in names, "sizes of these models are not known"
    assert model_sizes(workspace) == {}


def test_other_options_are_computed_anew(made: MadeStore, cache: ProbeCache) -> None:
    other = probe_evidence(made.workspace(), replace(OPTIONS, shots=(), seed=5), cache=cache)
    assert (other.n_computed, other.n_kept) == (30, 0)


def test_models_whose_embeddings_are_not_whole_are_left_out(
    own_made: MadeStore, cache: ProbeCache
) -> None:
    next((own_made.store / "embedding").rglob("m1@made/bee@*.parquet")).unlink()
    found = probe_evidence(own_made.workspace(), replace(OPTIONS, shots=()), cache=cache)
    assert found.left_out == (("embedding", "m1/made on bee", "0 of 1 cells are measured"),)
    assert len(found.tables.results) == 29


def test_without_embeddings_it_says_how_to_get_some(own_made: MadeStore) -> None:
    for file in (own_made.store / "embedding").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(StoreError, match="run `vlmsel measure embedding --store"):
        probe_evidence(own_made.workspace(), OPTIONS)


def probe_table() -> pl.DataFrame:
    """Three models on four tasks, probed on ten images a class and on all."""
    rows = [
        (f"m{m}", "x", f"set-{t}", shots, 0.3 + 0.1 * m + 0.01 * t + (0.0 if shots else 0.05))
        for m in range(3)
        for t in range(4)
        for shots in (10, None)
    ]
    schema = ["model", "pretrained", "task", "shots", "acc1"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_published_probes_of_a_few_foretell_those_of_all(tmp_path: Path) -> None:
    write_probes(open_folder(tmp_path), probe_table(), "own")
    found = evaluate_imported_use(tmp_path).summary()
    taus = dict(found.filter(metric="tau").select("selector", "mean").iter_rows())
    assert taus["few-shot-probe@10"] == taus["average-rank"] == 1.0
    assert "few-shot-probe@10" in set(evaluate_imported_use(tmp_path, [10]).metrics["selector"])
    words = "no imported probe is of 5 shots: they are of 10 shots, all images"
    with pytest.raises(SelectionError, match=words):
        evaluate_imported_use(tmp_path, [10, 5])


def test_the_first_table_of_probes_by_name_counts(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    write_probes(folder, probe_table(), "a")
    write_probes(folder, probe_table().with_columns(acc1=pl.lit(0.5)), "b")
    known = imported_probes(tmp_path)
    assert known.height == 24
    assert set(known["source"]) == {"a"}


def test_a_store_without_imported_probes_says_so(tmp_path: Path) -> None:
    import_accuracies(tmp_path)
    with pytest.raises(StoreError, match="no imported probes: `vlmsel import probes FILE"):
        evaluate_imported_use(tmp_path)
