"""A small zoo with known order: who foretells it, what the truth of a draw is, what is refused."""

import numpy as np
import polars as pl
import pytest

from tests.shared_data import DATA
from vlmsel.errors import SelectionError
from vlmsel.evaluation.probe_page import compare_mixture, mixture_sentences, shot_table, use_page
from vlmsel.evaluation.probe_tables import ProbeTables
from vlmsel.evaluation.probe_use import Scored, judge_published, judge_scored, judge_use
from vlmsel.evaluation.probe_work import ProbeOptions, accuracy_of, from_text, probe_unit
from vlmsel.evaluation.shots import LabelledImages, find_undrawn
from vlmsel.published.clip_benchmark import read_clip_benchmark
from vlmsel.published.linear_probes import read_linear_probes

MODELS = tuple((f"m{i}", "x") for i in range(4))
TASKS = tuple(f"task {i}" for i in range(5))
OPTIONS = ProbeOptions(shots=(1, 4), draws=2, estimators=("logme", "hscore", "probe-likelihood"))
CODES = np.arange(60) % 3


def make_tables() -> ProbeTables:
    """Models differ in how far apart the classes are; which is best differs by task."""
    images, results = {}, {}
    for number, task in enumerate(TASKS):
        rng = np.random.default_rng(number)
        images[task] = LabelledImages(
            task, tuple(f"{i:02}" for i in range(60)), CODES, np.arange(60)
        )
        centres, order = rng.normal(size=(3, 16)), rng.permutation(4)
        for model, key in enumerate(MODELS):
            offset = 0.15 + 0.25 * order[model]
            vectors = rng.normal(size=(60, 16)) + offset * centres[CODES]
            for shots in (None, *OPTIONS.shots):
                results[key, task, shots] = probe_unit(vectors, None, images[task], shots, OPTIONS)
    return ProbeTables(MODELS, images, results, OPTIONS)


@pytest.fixture(scope="module")
def tables() -> ProbeTables:
    return make_tables()


@pytest.fixture(scope="module")
def loo(tables):
    return judge_use(tables, "probe", sizes={key: 10.0 + i for i, key in enumerate(MODELS)})


def values(loo, selector: str, metric: str = "tau") -> pl.DataFrame:
    return loo.metrics.filter(selector=selector, metric=metric)


def test_accuracies_are_a_table_of_all_images_and_of_shots(tables):
    table = tables.accuracies
    assert table.height == 4 * 5 * 3
    assert tables.truth.height == 4 * 5
    few = table.filter(shots=4)
    assert few["n_images"].unique().to_list() == [48]
    assert few["n_draws"].unique().to_list() == [2]
    assert few["acc1"].mean() < table.filter(pl.col("shots").is_null())["acc1"].mean()


def test_the_truth_of_a_draw_is_on_images_that_it_did_not_show(tables):
    drawn = tables.draw_rows(TASKS[0], 4, 1)
    found = tables.unseen_accuracy(TASKS[0], drawn, zero_shot=False)
    hits = from_text(tables.results[MODELS[2], TASKS[0], None].hits)
    assert found[2] == accuracy_of(hits, find_undrawn(tables.images[TASKS[0]], drawn))
    assert np.isnan(tables.unseen_accuracy(TASKS[0], drawn, zero_shot=True)).all()


def test_scores_that_see_labels_foretell_what_average_rank_cannot(loo):
    assert values(loo, "logme@4")["value"].mean() > values(loo, "average-rank")["value"].mean()
    assert values(loo, "mixture@4")["value"].mean() > 0.4
    assert set(values(loo, "size")["target"]) == set(TASKS)


def test_what_is_refused_is_named_with_its_reason_and_never_ranked(loo):
    assert values(loo, "logme@1").is_empty()
    assert values(loo, "hscore@4").is_empty(), "12 images of 16 dimensions"
    reasons = loo.left_out.filter(name="hscore@4")["reason"].to_list()
    assert len(reasons) == 5
    assert "noise included" in reasons[0]
    assert values(loo, "posterior@1").is_empty()
    assert values(loo, "posterior@4").height == 5


def test_with_one_image_a_class_the_mixture_is_average_rank(loo):
    mixed, plain = (values(loo, name, "ndcg5") for name in ("mixture@1", "average-rank"))
    assert mixed.height == plain.height == 5
    first = loo.rankings.filter(pl.col("rank") == 1)
    assert (
        first.filter(selector="mixture@1")["model"].to_list()
        == first.filter(selector="average-rank").sort("target")["model"].to_list()
    )


def test_a_target_takes_no_part_in_its_own_weights(tables):
    """Another truth on one task changes nothing of what the mixture says there."""
    changed = dict(tables.results)
    for key, other in zip(MODELS, reversed(MODELS), strict=True):
        changed[key, TASKS[0], None] = tables.results[other, TASKS[0], None]
    swapped = judge_use(ProbeTables(MODELS, tables.images, changed, OPTIONS), "probe")
    before = judge_use(tables, "probe")

    def scores(loo) -> list[float]:
        rows = loo.rankings.filter(selector="mixture@4", target=TASKS[0]).sort("model")
        return rows["score"].to_list()

    assert scores(swapped) == pytest.approx(scores(before))


def test_the_page_shows_every_score_and_the_mixture_against_its_best_part(loo):
    page = use_page([("five tasks", loo)], "vlmsel evaluate --use probe")
    assert "| logme |" in page
    assert "noise included" in page
    table = shot_table(loo.summary(), "tau")
    assert table.columns == ["selector", "no labels", "1 per class", "4 per class"]
    compared = compare_mixture(loo)
    assert compared["shots"].to_list() == [1, 4]
    assert compared.filter(shots=1).item(0, "part") == "average-rank"
    assert len(mixture_sentences(loo)) == 2


def test_published_probes_are_judged_by_those_of_all_images():
    rng = np.random.default_rng(0)
    rows = []
    for task in TASKS:
        for model, pretrained in MODELS:
            accuracy = float(rng.uniform())
            rows.append((model, pretrained, task, None, accuracy))
            rows.append((model, pretrained, task, 10, accuracy**2))
    names = ["model", "pretrained", "task"]
    schema = {**dict.fromkeys(names, pl.String), "shots": pl.Int64, "acc1": pl.Float64}
    probes = pl.DataFrame(rows, schema=schema, orient="row")
    zero_shot = probes.filter(pl.col("shots").is_null(), pl.col("model") != "m3").drop("shots")
    found = judge_published(probes, zero_shot)
    assert values(found, "few-shot-probe@10")["value"].to_list() == [1.0] * 5
    assert values(found, "zero-shot")["value"].to_list() == [1.0] * 5
    assert found.metrics["n_models"].unique().to_list() == [3]
    assert found.left_out.filter(name="m3/x").height == 1
    with pytest.raises(SelectionError, match="no probe of all images"):
        judge_published(probes.filter(shots=10), None)


def test_draws_that_a_score_cannot_rank_do_not_count_and_are_counted(tables):
    right = np.array([0.1, 0.2, 0.3, 0.4])
    good = Scored("s", TASKS[0], -right, right)
    bad = Scored("s", TASKS[0], np.full(4, np.nan), right, "all models tie")
    found = judge_scored(tables.truth, MODELS, [good, bad])
    assert values(found, "s")["value"].to_list() == [1.0]
    assert found.left_out.filter(name="s").item(0, "reason").endswith("tie (1 of 2 draws)")


@pytest.mark.skipif(not DATA.exists(), reason="published tables are not here")
def test_published_probes_of_clip_models_give_the_known_taus():
    probes = read_linear_probes(DATA / "transferability/clip_linear_probe_best.csv").frame
    zero_shot = read_clip_benchmark(DATA / "clip_benchmark/probe_openclip_results.csv").frame

    def tau(loo, selector: str) -> float:
        return float(values(loo, selector)["value"].mean())

    alone, beside = judge_published(probes, None), judge_published(probes, zero_shot)
    assert tau(alone, "few-shot-probe@10") == pytest.approx(0.61, abs=0.03)
    assert tau(alone, "average-rank") == pytest.approx(0.61, abs=0.03)
    assert tau(beside, "zero-shot") == pytest.approx(0.40, abs=0.03)
    assert tau(beside, "few-shot-probe@10") == pytest.approx(0.61, abs=0.03)
