"""Knowledge of a zoo: near-duplicates count once, whatever models are called."""

import polars as pl
import pytest

from vlmsel.api.known_zoo import _build_zoo
from vlmsel.measurements.prediction import Prediction
from vlmsel.store.store import Store
from vlmsel.zoo.catalog import ModelSpec

KEYS = [("lab/one", "x"), ("lab/two", "x"), ("other", "x")]


def test_a_near_duplicate_with_a_slash_in_its_name_counts_once(tmp_path):
    rows = [
        (*key, f"task-{i}", 0.5 + 0.01 * i + (0.2 if key[0] == "other" and i % 2 else 0.0))
        for key in KEYS
        for i in range(12)
    ]
    schema = ["model", "pretrained", "task", "acc1"]
    zoo = _build_zoo(
        {key: ModelSpec(model=key[0], pretrained=key[1]) for key in KEYS},
        pl.DataFrame(rows, schema=schema, orient="row"),
        about="",
        source="",
        store=Store(tmp_path),
        measurement=Prediction(),
    )
    assert zoo.models == (("lab/one", "x"), ("other", "x"))
    assert len(zoo.left_out) == 1


def test_published_imagenet_comes_before_a_task_of_that_name(tmp_path):
    keys = [("a", "x"), ("b", "x")]
    rows = [(*key, f"task-{i}", 0.1 * i + 0.3 * n) for n, key in enumerate(keys) for i in range(4)]
    rows += [(*key, "imagenet1k", 0.7 + 0.1 * n) for n, key in enumerate(keys)]
    rows += [("a", "x", "imagenet", 0.2)]
    zoo = _build_zoo(
        {key: ModelSpec(model=key[0], pretrained=key[1]) for key in keys},
        pl.DataFrame(rows, schema=["model", "pretrained", "task", "acc1"], orient="row"),
        about="",
        source="",
        store=Store(tmp_path),
        measurement=Prediction(),
    )
    assert zoo.imagenet is not None
    assert zoo.imagenet.tolist() == pytest.approx([0.7, 0.8])
