"""A model's work from a store: rows in the order of the labels, holes, half-precision logits."""

import numpy as np
import pytest

from tests.store.labelled_cells import CODES, IMAGES, embedding_files, prediction_files
from vlmsel.evaluation.model_probes import (
    ModelProbes,
    TaskCells,
    read_probabilities,
    read_vectors,
    run_model_probes,
)
from vlmsel.evaluation.probe_cache import probe_key
from vlmsel.evaluation.probe_work import ProbeOptions
from vlmsel.store.store import Store

OPTIONS = ProbeOptions(shots=(2,), draws=2)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_vectors_come_in_the_order_of_the_labels_with_holes(store):
    vectors = np.random.default_rng(0).normal(size=(len(CODES), 5)).astype(np.float32)
    files = embedding_files(store, vectors, failed=[4])
    found = read_vectors(store, files, IMAGES)
    assert found is not None
    assert np.isnan(found[4]).all()
    kept = np.arange(len(CODES)) != 4
    assert found[kept] == pytest.approx(vectors[kept])


def test_probabilities_sum_to_one_and_are_unknown_without_predictions(store):
    files = prediction_files(store, CODES % 2)
    found = read_probabilities(store, files, IMAGES)
    assert found is not None
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert (found.argmax(axis=1) == CODES % 2).all()
    assert read_probabilities(store, {}, IMAGES) is None


def test_a_model_does_all_its_units(store):
    vectors = np.random.default_rng(0).normal(size=(len(CODES), 5)) + 3 * CODES[:, None]
    files = embedding_files(store, vectors)
    keys = tuple(probe_key(("m", "x"), IMAGES, files.values(), k, OPTIONS) for k in (None, 2))
    work = ModelProbes("m/x", store.uri, (TaskCells(IMAGES, files, {}, keys),), OPTIONS)
    found = dict(run_model_probes(work))
    assert set(found) == set(keys)
    assert len(found[keys[0]].hits) == len(CODES)
    assert len(found[keys[1]].draws) == 2
    assert found[keys[1]].draws[0].cells["zero-shot"][0] is None
