"""From a store to text views: vectors, gaps and class accuracies by hand; imported features."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.execution.conftest import draw_task
from vlmsel.api.laboratory import evaluate, find_unusable_selectors, imported_knowledge
from vlmsel.api.text_knowledge import read_texts, stored_text_kinds
from vlmsel.evidence.catalog_contents import look_up
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.run import measure
from vlmsel.measurements import Embedding, Prediction, Text, Want
from vlmsel.published.stored_tables import write_accuracies, write_features
from vlmsel.selection.texts.text_evidence import FEATURE_COLUMNS
from vlmsel.store.filesystem import open_folder
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo, load_zoo

WANTS = [Want(Text()), Want(Embedding()), Want(Prediction())]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """One model on two tasks; the second names one class twice."""
    folder = tmp_path_factory.mktemp("texts")
    first, second = (draw_task(folder / name, seed) for seed, name in enumerate("ab"))
    second = second.model_copy(update={"classnames": ("circle", "square", "circle")})
    zoo = Zoo(models=(load_zoo("demo").find("demo-vit-digits"),))
    tasks = TaskCatalog(tasks=(first, second))
    store = Store(folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLMSEL_CACHE", str(folder / "cache"))
        measure(zoo, tasks, store, WANTS)
        catalogued = look_up(zoo, tasks)
    return Evidence(store, catalogued, {want.kind: want for want in WANTS})


def test_views_hold_texts_gaps_and_class_accuracies(evidence: Evidence) -> None:
    found = read_texts(evidence)
    assert stored_text_kinds(evidence) == {"text", "embedding"}
    ((key, view),) = found.views["a"].items()
    assert view.names == ("circle", "square")
    assert view.gaps is not None
    assert view.accuracy is not None
    # The mean of the normalised image vectors of a class, minus its text vector.
    rows = evidence.read("embedding").measured.filter(task="a")
    labels = dict(evidence.labels.filter(task="a").select("image_id", "label").iter_rows())
    vectors = np.array(rows["vector"].to_list())
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    of_first = [labels[name] == 0 for name in rows["image_id"]]
    np.testing.assert_allclose(view.gaps[0], vectors[of_first].mean(axis=0) - view.classes[0])
    answers = evidence.labelled.filter(task="a", label=1)
    hits = (answers["argmax"] == answers["label"]).mean()
    assert view.accuracy[1] == pytest.approx(hits)
    assert found.images["a", key].shape[0] == 6
    assert "templates" in found.notes[0]


def test_graphs_are_of_the_first_images(evidence: Evidence) -> None:
    found = read_texts(evidence)
    some, all_images = found.first_images(2).graphs, found.first_images(None).graphs
    assert some["task"].to_list() == all_images["task"].to_list()
    assert not some.equals(all_images)


def test_blocks_are_no_output_embeddings(evidence: Evidence) -> None:
    wants = {"text": Want(Text()), "embedding": Want(Embedding(layer="visual.ln_post"))}
    other = Evidence(evidence.store, evidence.catalogued, wants)
    assert stored_text_kinds(other) == {"text"}
    assert read_texts(other).images == {}


def test_imported_features_are_judged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.random((8, 6, 7))
    features -= features.mean(axis=0)
    accuracy = 0.5 + 0.1 * features[..., 1]
    cells = [(f"m{m}", "p", f"task{t}") for m, t in np.ndindex(8, 6)]
    rows = [(*cell, *features[m, t]) for cell, (m, t) in zip(cells, np.ndindex(8, 6), strict=True)]
    table = pl.DataFrame(rows, schema=FEATURE_COLUMNS, orient="row")
    known = pl.DataFrame(cells, schema=["model", "pretrained", "task"], orient="row").with_columns(
        acc1=pl.Series(accuracy.ravel()), source=pl.lit("x")
    )
    folder = open_folder(tmp_path / "store")
    write_accuracies(folder, known.drop("source"), "x")
    before = find_unusable_selectors(imported_knowledge(tmp_path / "store"))
    assert "texts" in before["modelgpt"]
    write_features(folder, table, "x")
    knowledge = imported_knowledge(tmp_path / "store")
    assert "modelgpt" not in find_unusable_selectors(knowledge)
    assert "embeddings" in find_unusable_selectors(knowledge)["swab"]
    found = evaluate(knowledge, ["modelgpt", "average-rank"], keep_duplicates=True, is_cached=False)
    tau = found.summary(n_bootstrap=1).filter(selector="modelgpt", metric="tau")["mean"][0]
    assert tau == pytest.approx(1)
