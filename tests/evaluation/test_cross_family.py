"""Similarity of one family, judged on another."""

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.cross_family import (
    ONE_FOR_OTHERS,
    OTHERS_FOR_ONE,
    Approach,
    exchanges,
    judge_families,
)
from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.metrics import tau
from vlmsel.evaluation.studies.objectives import OWN, family_rows
from vlmsel.selection.registry import make_selector

MODELS = [("vit-0", "p"), ("vit-1", "p"), ("rn50", "p"), ("convnext-0", "p"), ("convnext-1", "p")]
BLOCKS = {"vit-0": 3, "vit-1": 3, "rn50": 5, "convnext-0": 4, "convnext-1": 4}


@pytest.fixture(scope="module")
def tables():
    """Tasks in two kinds: twins share the order of the models and the shape of every profile."""
    rng = np.random.default_rng(0)
    order = {0: np.linspace(0.9, 0.3, 5), 1: np.linspace(0.3, 0.9, 5)}
    shape = {(m, k): rng.lognormal(size=n) for m, n in BLOCKS.items() for k in (0, 1)}
    tasks = [(f"task-{i:02}", i % 2) for i in range(12)]
    accuracies = [
        (*key, task, float(order[kind][place] + rng.normal(0, 0.01)))
        for task, kind in tasks
        for place, key in enumerate(MODELS)
    ]
    profiles = [
        (*key, task, (shape[key[0], kind] * rng.lognormal(0, 0.05, BLOCKS[key[0]])).tolist())
        for task, kind in tasks
        for key in MODELS
    ]
    cell = ["model", "pretrained", "task"]
    return (
        pl.DataFrame(accuracies, schema=[*cell, "acc1"], orient="row"),
        pl.DataFrame(profiles, schema=[*cell, "profile"], orient="row"),
    )


def test_every_family_is_donor_once_and_no_model_is_its_own():
    found = exchanges(MODELS)
    assert [len(ranking) for ranking in found[ONE_FOR_OTHERS]] == [1, 1, 1]
    (ranking,) = found[OTHERS_FOR_ONE]
    assert sorted(key for swap in ranking for key in swap.recipients) == sorted(MODELS)
    for rankings in found.values():
        for swap in (exchange for ranking in rankings for exchange in ranking):
            assert not swap.recipients & swap.donors
            assert swap.recipients | swap.donors == set(MODELS)
    # A family of one model is a family.
    assert {("rn50", "p")} in [set(swap.donors) for (swap,) in found[ONE_FOR_OTHERS]]


def test_one_family_alone_is_refused():
    with pytest.raises(SelectionError, match=r"2 models are of one family \(vit\)"):
        exchanges(MODELS[:2])


def test_a_similarity_of_others_finds_the_twins_where_average_rank_cannot(tables):
    held_out = hold_out(*tables)
    rows = family_rows(held_out, None)
    assert rows["design"].unique(maintain_order=True).to_list() == [ONE_FOR_OTHERS, OTHERS_FOR_ONE]
    found = rows.filter(metric="tau", design=OTHERS_FOR_ONE)
    mean = dict(found.select("variant", "mean").rows())
    assert mean["average-rank"] < 0.2
    for name in ("dcd-depth", "dcd-families", "dcd-pooled"):
        assert mean[f"{name}, carried"] > 0.6
    row = found.filter(variant=OWN).row(0, named=True)
    assert (row["change"], row["change_low"], row["change_high"]) == (0, 0, 0)
    gain = found.filter(variant="dcd-families, carried").row(0, named=True)
    assert gain["gain_low"] > 0


def test_carried_scores_are_those_of_a_problem_without_the_own_family(tables):
    held_out = hold_out(*tables)
    task = held_out.tasks[0]
    selector = make_selector("dcd-families")
    found = judge_families({"x": Approach(selector, is_carried=True)}, held_out)
    value = found.filter(design=OTHERS_FOR_ONE, target="task-00", metric="tau")["value"][0]
    truth, scores = [], []
    for key, accuracy in sorted(((m, p), a) for m, p, a in task.truth.rows()):
        family = key[0].split("-")[0]
        others = [name for name, _ in MODELS if name.split("-")[0] != family]
        donors = tables[1].filter(pl.col("model").is_in(others))
        alone = hold_out(tables[0], tables[1]).tasks[0].problem
        ranking = selector.rank(type(alone)(alone.target, alone.sources, alone.accuracies, donors))
        scores.append(ranking.table.filter(model=key[0])["score"][0])
        truth.append(accuracy)
    assert value == pytest.approx(tau(truth, scores))
