"""Published scores beside average rank: the figures that are known, and a pool by hand."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import weightedtau

from tests.shared_data import DATA
from vlmsel.errors import SelectionError
from vlmsel.evaluation.studies.published_transfer import benchmark_page
from vlmsel.evaluation.transfer_benchmarks import judge_benchmarks, summarise_benchmarks
from vlmsel.published.model_sizes import model_sizes
from vlmsel.published.printed_taus import printed_taus
from vlmsel.published.transferability import SCORES, read_transferability
from vlmsel.report.study_figures import benchmark_figure

PUBLISHED = DATA / "transferability"


@pytest.fixture(scope="module")
def summary():
    if not PUBLISHED.exists():
        pytest.skip("the published tables are not here")
    found = read_transferability([PUBLISHED])
    values, _ = judge_benchmarks(found.accuracies, found.scores, model_sizes())
    return summarise_benchmarks(values)


@pytest.fixture
def pool():
    """Six models on five tasks of one order, but for noise; one score knows the truth."""
    random = np.random.default_rng(0)
    level = np.linspace(0.4, 0.9, 6)
    rows = [
        ("pool", f"t{t}", f"m{m}", "p", level[m] + random.normal() / 50)
        for t in range(5)
        for m in range(6)
    ]
    accuracies = pl.DataFrame(
        rows, schema=["pool", "task", "model", "pretrained", "acc1"], orient="row"
    )
    knows = accuracies.select(
        pl.lit("knows").alias("estimator"), *accuracies.columns[:4], score="acc1"
    )
    part = knows.filter(pl.col("task") == "t0").with_columns(estimator=pl.lit("part"))
    return accuracies, pl.concat([knows, part, part.head(3).with_columns(task=pl.lit("t1"))])


def _mean(summary, pool, selector):
    rows = summary.filter(pool=pool, selector=selector, metric="weighted_tau")
    return rows["mean"].item()


def test_the_scores_of_the_library_are_as_published(summary):
    found = [_mean(summary, "tll-cnn", name) for name in ("hscore", "leep", "logme", "nce")]
    assert found == pytest.approx([0.650, 0.419, 0.670, 0.687], abs=5e-4)


def test_average_rank_is_as_measured_before(summary):
    assert _mean(summary, "sfda-cnn", "average-rank") == pytest.approx(0.837, abs=5e-4)
    assert _mean(summary, "sfda-ssl", "average-rank") == pytest.approx(0.64, abs=0.01)


def test_average_rank_written_out(pool):
    accuracies, scores = pool
    values, _ = judge_benchmarks(accuracies, scores, {})
    wide = accuracies.pivot("task", index="model", values="acc1").sort("model")
    matrix = wide.drop("model").to_numpy()
    ranks = (-matrix).argsort(axis=0).argsort(axis=0)
    for t in range(5):
        rest = np.delete(ranks, t, axis=1).mean(axis=1)
        expected = weightedtau(-rest, matrix[:, t]).statistic
        row = values.filter(selector="average-rank", target=f"t{t}", metric="weighted_tau")
        assert row["value"].item() == pytest.approx(expected)


def test_a_score_that_knows_the_truth_and_one_that_knows_a_part(pool):
    accuracies, scores = pool
    sizes = {f"m{m}": m + 1 for m in range(6)}
    values, left_out = judge_benchmarks(accuracies, scores, sizes)
    assert (values.filter(selector="knows", metric="weighted_tau")["value"] == 1).all()
    assert values.filter(selector="part")["target"].unique().to_list() == ["t0"]
    assert ("pool", "part", "on t1: 3 of 6 models have a score") in left_out.rows()
    assert values.filter(selector="size")["target"].n_unique() == 5


def test_sizes_that_say_nothing_are_left_out(pool):
    accuracies, scores = pool
    for sizes, says in (
        ({"m0": 1}, "the size of m1, m2, m3, ... is not known"),
        ({f"m{m}": 7 for m in range(6)}, "all models have one size"),
    ):
        values, left_out = judge_benchmarks(accuracies, scores, sizes)
        assert ("pool", "size", says) in left_out.rows()
        assert values.filter(selector="size").is_empty()


def test_page_and_figure_hold_what_was_judged(pool):
    accuracies, scores = pool
    values, left_out = judge_benchmarks(accuracies, scores, {})
    found = summarise_benchmarks(values)
    page = benchmark_page(found, printed_taus(), left_out, {"pool": (6, 5)}, "the command")
    assert "Made by the command" in page
    assert "## pool: 6 models, 5 data sets" in page
    assert "| knows | 5 | 1.000 [1.000, 1.000] |" in page
    assert "on fewer than 5 data sets, so no evidence: part" in page
    assert "## itm: as printed, nothing to compare with at hand" in page
    assert "- pool: part: on t1" in page
    axes = benchmark_figure(found).axes
    assert [axis.get_title() for axis in axes] == ["pool"]


def test_without_accuracies_there_is_nothing_to_judge(pool):
    with pytest.raises(SelectionError, match="hold no accuracies"):
        judge_benchmarks(pool[0].clear(), pl.DataFrame(schema=SCORES), {})
