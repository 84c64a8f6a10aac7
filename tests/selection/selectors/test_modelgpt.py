"""ModelGPT: a table with known coefficients is ranked right, ImageNet's part can be left out."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.registry import make_selector
from vlmsel.selection.texts.text_evidence import FEATURE_COLUMNS, TextEvidence


@pytest.fixture
def published(make_problem):
    """Accuracies that are a level of the task plus .1 text-acc1 - .05 inter_close."""
    rng = np.random.default_rng(6)
    features = rng.random((8, 6, 7))
    features -= features.mean(axis=0)
    accuracy = 0.5 + features @ np.array([0, 0, 0.1, 0, -0.05, 0, 0])
    problem = make_problem(accuracy)
    rows = [
        (chr(ord("a") + model), "p", f"t{task}", *features[model, task])
        for model, task in np.ndindex(8, 6)
    ]
    table = pl.DataFrame(rows, schema=FEATURE_COLUMNS, orient="row")
    return dataclasses.replace(problem, texts=TextEvidence(features=table))


def test_known_coefficients_rank_the_target_as_its_accuracies_do(published):
    ranking = make_selector("modelgpt").rank(published).table
    truth = dict(published.truth.select("model", "accuracy").rows())
    best_first = sorted(truth, key=lambda model: -truth[model])
    assert ranking["model"].to_list() == best_first
    # The score is the predicted accuracy minus the mean of the target, turned.
    centred = [-(truth[model] - np.mean(list(truth.values()))) for model in ranking["model"]]
    np.testing.assert_allclose(ranking["score"], centred, atol=1e-9)


def test_imagenet_counts_where_it_may(published):
    imagenet = published.truth.select(
        "model", "pretrained", task=pl.lit("imagenet"), acc1="accuracy"
    )
    table = published.texts.features.with_columns(
        pl.lit(None, pl.Float64).alias("IN-score"), pl.col("text-acc1") * 0.0
    )
    seen = dataclasses.replace(
        published,
        accuracies=pl.concat([published.accuracies, imagenet]),
        texts=TextEvidence(features=table),
    )
    with_it = make_selector("modelgpt").rank(seen).table
    without = make_selector("modelgpt", imagenet=False).rank(seen).table
    assert not with_it.equals(without)


def test_models_without_texts_are_named(published):
    table = published.texts.features.filter(~((pl.col("model") == "c") & (pl.col("task") == "t0")))
    bare = dataclasses.replace(published, texts=TextEvidence(features=table))
    ranking = make_selector("modelgpt").rank(bare)
    assert ranking.left_out.rows() == [("c", "p", "no texts of t0")]
    assert ranking.table.height == 7


def test_one_source_is_too_few(published):
    alone = dataclasses.replace(
        published,
        sources=("t1",),
        accuracies=published.accuracies.filter(task="t1"),
    )
    with pytest.raises(SelectionError, match="at least 2 sources, t0 has 1"):
        make_selector("modelgpt").rank(alone)


def test_what_is_missing_is_said(published):
    for texts in (None, TextEvidence()):
        bare = dataclasses.replace(published, texts=texts)
        with pytest.raises(SelectionError, match=r"needs texts of t0.*`vlmsel measure text`"):
            make_selector("modelgpt").rank(bare)
