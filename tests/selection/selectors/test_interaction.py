"""The likeness of tasks as a selector."""

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import Extras
from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.selection.registry import make_selector

MODELS = [("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")]
TASKS = {"maps-1": (0, 0.01), "maps-2": (0, -0.01), "cats-1": (1, 0.01), "cats-2": (1, -0.01)}


def tables():
    """Twins share the order of the models, and what silencing layers does to them."""
    rng = np.random.default_rng(0)
    accuracy = {0: [0.9, 0.7, 0.5, 0.3], 1: [0.3, 0.5, 0.7, 0.9]}
    shape = {0: np.array([-0.5, 0.2, 0.0, -0.1]), 1: np.array([-0.5, -0.1, 0.2, 0.0])}
    known = [
        (*model, task, accuracy[kind][place] + error)
        for task, (kind, error) in TASKS.items()
        for place, model in enumerate(MODELS)
    ]
    vectors = [
        (*m, t, (shape[k] + rng.normal(0, 0.01, 4)).tolist())
        for t, (k, _) in TASKS.items()
        for m in MODELS[:2]
    ]
    names = dict.fromkeys(("model", "pretrained", "task"), pl.String)
    accuracies = pl.DataFrame(known, schema={**names, "acc1": pl.Float64}, orient="row")
    schema = {**names, "vector": pl.List(pl.Float64)}
    return accuracies, pl.DataFrame(vectors, schema=schema, orient="row")


def test_it_finds_the_twin_where_average_rank_cannot():
    accuracies, vectors = tables()
    selectors = [make_selector("average-rank"), make_selector("interaction")]
    found = leave_one_out(selectors, accuracies, extras=Extras(vectors=vectors))
    tau = found.metrics.filter(pl.col("metric") == "tau")
    means = dict(tau.group_by("selector").agg(pl.col("value").mean()).rows())
    assert means["interaction"] == pytest.approx(1.0)
    assert means["average-rank"] < 0
    ordered = found.weights.lazy().sort("weight").group_by("target").last()
    best = ordered.sort("target").collect()
    assert best["source"].to_list() == ["cats-2", "cats-1", "maps-2", "maps-1"]


def test_without_vectors_it_says_how_to_get_them():
    accuracies, vectors = tables()
    with pytest.raises(SelectionError, match=r"vectors: `vlmsel layers vectors --judge`"):
        leave_one_out([make_selector("interaction")], accuracies)
    others = vectors.filter(pl.col("task") != "maps-1")
    with pytest.raises(SelectionError, match="no model has an interaction vector of maps-1"):
        leave_one_out(
            [make_selector("interaction")],
            accuracies,
            extras=Extras(vectors=others),
            targets=["maps-1"],
        )
