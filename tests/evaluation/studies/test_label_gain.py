import numpy as np
import polars as pl
import pytest

from tests.evaluation.conftest import make_tables
from tests.shared_data import DATA
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.metrics import evaluate_ranking
from vlmsel.evaluation.studies.label_gain import gain_of_labels, labels_rows, lay_out
from vlmsel.evaluation.twin_checkpoints import count_once
from vlmsel.published import read_accuracies
from vlmsel.report.study_figures import labels_figure
from vlmsel.selection.registry import make_selector


@pytest.fixture
def held_out():
    accuracies, _ = make_tables(0)
    imagenet = accuracies.filter(task="alpha").with_columns(task=pl.lit("imagenet1k"))
    return hold_out(pl.concat([accuracies, imagenet]))


def test_rivals_are_those_of_leave_one_out(held_out):
    found = gain_of_labels(held_out, labels=(0, 5), n_draws=2)
    for name in ("average-rank", "imagenet"):
        for task in held_out.tasks:
            ranking = make_selector(name).rank(task.problem).table
            ranked = task.truth.join(ranking, on=["model", "pretrained"]).sort("rank")
            values = evaluate_ranking(ranked["accuracy"].to_numpy(), ranked["score"].to_numpy())
            rows = found.filter(selector=name, target=task.problem.target)
            for metric, value in rows.select("metric", "value").rows():
                assert value == pytest.approx(values[metric]), (name, metric)


def test_no_labels_are_average_rank(held_out):
    found = gain_of_labels(held_out, labels=(0,), n_draws=2)
    values = [
        found.filter(selector=name)["value"].to_list() for name in ("posterior", "average-rank")
    ]
    assert values[0] == values[1]


def test_many_labels_are_the_truth(held_out):
    found = gain_of_labels(held_out, labels=(5, 4000), n_draws=3)
    tau = found.filter(metric="tau").group_by("selector", "n_labels").agg(pl.col("value").mean())
    by = {row[:2]: row[2] for row in tau.rows()}
    assert by["posterior", 4000] > 0.85 > by["posterior", 5]
    assert by["labels-alone", 4000] > by["labels-alone", 5]


def test_equal_seeds_give_equal_numbers(held_out):
    first, again, other = (
        gain_of_labels(held_out, labels=(10,), n_draws=3, seed=seed) for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert not first.equals(other)


def test_the_order_of_models_breaks_no_tie_in_secret(held_out):
    for task in held_out.tasks:
        assert (np.diff(lay_out(task).average_rank) >= -1e-9).all()


def test_rows_name_table_rival_and_labels(held_out):
    found = labels_rows(gain_of_labels(held_out, labels=(0, 10), n_draws=2), "made-up")
    names = (
        "table selector rival n_labels n_targets n_models metric mean delta delta_low delta_high"
    )
    assert found.columns == names.split()
    assert set(found["rival"]) == {"average-rank", "imagenet"}
    assert not found.select([*found.columns[:4], "metric"]).is_duplicated().any()
    row = found.filter(selector="posterior", rival="average-rank", n_labels=10, metric="tau")
    rank = found.filter(selector="average-rank", rival="average-rank", metric="tau")
    assert row["delta"][0] == pytest.approx(row["mean"][0] - rank["mean"][0])
    assert found.filter(selector="imagenet", rival="imagenet").is_empty()


def test_without_imagenet_there_is_one_rival():
    accuracies, _ = make_tables(0)
    found = labels_rows(gain_of_labels(hold_out(accuracies), labels=(5,), n_draws=2), "t")
    assert set(found["rival"]) == {"average-rank"}


def test_holes_are_borne():
    accuracies, _ = make_tables(3, holes=0.15)
    found = gain_of_labels(hold_out(accuracies, min_sources=2), labels=(5,), n_draws=2)
    assert found["value"].is_finite().all()


def test_one_source_is_no_prior():
    accuracies, _ = make_tables(0, tasks=("alpha", "beta"))
    with pytest.raises(SelectionError, match="a posterior needs 2"):
        gain_of_labels(hold_out(accuracies), labels=(5,))


@pytest.mark.parametrize("labels", [(), (-1,)])
def test_impossible_numbers_of_labels(held_out, labels):
    with pytest.raises(SelectionError, match="0 or more"):
        gain_of_labels(held_out, labels=labels)


def test_the_figure_says_that_it_is_simulated(held_out):
    rows = labels_rows(gain_of_labels(held_out, labels=(0, 10), n_draws=2), "made-up")
    figure = labels_figure(rows)
    assert "simulated" in str(figure.get_suptitle())
    assert len(figure.axes) == 2


# Gains of 25 labels over average rank in ndcg5 and tau, and its own values, as published before.
PUBLISHED = {
    "lovm_eval_table.csv": (22, 33, 0.817, 0.453, 0.110, 0.135),
    "clip_benchmark/probe_openclip_results.csv": (34, 34, 0.818, 0.548, 0.073, 0.072),
}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the published tables are not in {DATA}")
@pytest.mark.parametrize("file", PUBLISHED)
def test_gains_on_published_tables(file):
    found = read_accuracies(DATA / file)
    held_out = hold_out(count_once(found.frame).accuracies)
    rows = labels_rows(gain_of_labels(held_out, labels=(25,)), file)
    n_targets, n_models, *expected = PUBLISHED[file]
    assert (rows["n_targets"][0], rows["n_models"][0]) == (n_targets, n_models)
    against = rows.filter(rival="average-rank")
    rank, ours = (against.filter(selector=name) for name in ("average-rank", "posterior"))
    values = [
        *(rank.filter(metric=metric)["mean"][0] for metric in ("ndcg5", "tau")),
        *(ours.filter(metric=metric)["delta"][0] for metric in ("ndcg5", "tau")),
    ]
    np.testing.assert_allclose(values, expected, atol=0.01)
    assert ours.filter(pl.col("metric").is_in(["ndcg5", "tau"]))["delta_low"].min() > 0
