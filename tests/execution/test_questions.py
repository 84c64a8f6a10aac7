"""Generative models on tasks of questions, by the local executor: rows, states, accuracies."""

import io
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.zoo.providers.generative_builders import save_generative
from vlmsel.evidence.catalog_contents import look_up
from vlmsel.evidence.evidence import Evidence
from vlmsel.evidence.option_metrics import option_metrics
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.measurements import Embedding, Knockout, Prediction, Profile, Want
from vlmsel.selection.estimators import one_coin, vote
from vlmsel.selection.layers.knockout_answers import collect_answers, label_knockouts
from vlmsel.selection.zoo_answers import zoo_answers
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.index import index_task
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec
from vlmsel.zoo.catalog import ModelSpec, Zoo
from vlmsel.zoo.choices import ChoicePrompt
from vlmsel.zoo.loader import load_model

FAMILIES = ("llava", "qwen2_vl", "internvl")
N_QUESTIONS = 9
WORDS = ["one", "two", "three", "four"]
CHEAP = AttributionSettings(n_steps=2, rule="trapezoid", path="uniform")
BAD = "q8"


class Measured(NamedTuple):
    """A store with all kinds of three models on a task of words and one of letters."""

    zoo: Zoo
    tasks: TaskCatalog
    store: Store
    n_failures: int

    def evidence(self, measurement):
        catalogued = look_up(self.zoo, self.tasks)
        wants = {measurement.kind: Want(measurement)}
        return Evidence(self.store, catalogued, wants, with_logits=True)


def draw(number: int) -> bytes:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (20 + number % 3, 24, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_task(folder, name, answers, *, moved=0) -> TaskSpec:
    rows = [
        {
            "id": f"q{number}",
            "question": ("what digit is this ?", "which digit is this ?")[number % 2],
            "options": WORDS[: 3 + number % 2],
            "answer": (number + moved) % 3,
            # Two questions are about one picture.
            "image": b"no picture" if f"q{number}" == BAD else draw(number // 2),
        }
        for number in range(N_QUESTIONS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    values = {"name": name, "questions": str(folder / f"{name}.parquet"), "answers": answers}
    return TaskSpec.model_validate(values)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLMSEL_CACHE", str(folder / "cache"))
        for family in FAMILIES:
            save_generative(family, folder / family)
        models = [
            ModelSpec(model=family, pretrained="tiny", weights=str(folder / family))
            for family in FAMILIES
        ]
        zoo = Zoo(models=tuple(models))
        specs = [write_task(folder, "words", "words"), write_task(folder, "letters", "letters")]
        tasks, store = TaskCatalog(tasks=tuple(specs)), Store(folder / "store")
        kinds = [Prediction(), Knockout(), Embedding(), Profile(settings=CHEAP)]
        found = measure(zoo, tasks, store, [Want(kind) for kind in kinds], options=RunOptions())
        more = [Prediction(options="generated"), Knockout(tower="text", part="attention")]
        measure(zoo, tasks, store, [Want(kind) for kind in more], options=RunOptions())
        yield Measured(zoo, tasks, store, len(found.failures))


def test_predictions_are_the_scores_of_the_options(measured):
    rows = measured.evidence(Prediction()).predictions.filter(pl.col("task") == "words")
    assert rows.height == len(FAMILIES) * (N_QUESTIONS - 1)
    for spec in measured.zoo.models:
        of_model = rows.filter(pl.col("model") == spec.model).sort("image_id")
        pictures = [Image.open(io.BytesIO(draw(number // 2))) for number in range(N_QUESTIONS - 1)]
        asked = [
            ChoicePrompt(("what", "which")[n % 2] + " digit is this ?", tuple(WORDS[: 3 + n % 2]))
            for n in range(N_QUESTIONS - 1)
        ]
        scorer = load_model(spec).score_choices
        assert scorer is not None
        expected = scorer(pictures, asked).log_probabilities
        assert of_model["argmax"].to_list() == expected.argmax(dim=1).tolist()
        stored = np.array(of_model["logits"].to_list(), dtype=float)
        np.testing.assert_allclose(stored, expected.numpy(), atol=5e-3, rtol=0)
        mass = expected.exp().sum(dim=1)
        np.testing.assert_allclose(np.exp(of_model["log_sum_exp"].to_numpy()), mass, atol=1e-5)
    # Every second question has three options of four.
    assert set(rows["n_classes"]) == {4}
    assert (rows["logits"].list.last() == -65504.0).sum() == len(FAMILIES) * 4


def test_what_cannot_be_measured_fails_alone(measured):
    # Of each model and task: the broken picture, in four kinds; qwen2_vl embeds no pictures, so
    # that its embeddings and profiles fail as a whole.
    rows = measured.evidence(Prediction()).read("prediction").rows
    failed = rows.filter(pl.col("reason").is_not_null())
    assert set(failed["image_id"]) == {BAD}
    assert failed["reason"].str.contains("not an image of a known format").all()
    assert measured.n_failures == 2 * (2 * 4 + 2 + 2)


def test_knockouts_begin_with_the_base_and_name_what_is_off_the_path(measured):
    for measurement in (Knockout(), Knockout(tower="text", part="attention")):
        evidence = measured.evidence(measurement)
        rows = evidence.read("knockout").measured
        base = rows.filter(pl.col("layer") == -1).select("model", "task", "image_id", "argmax")
        plain = measured.evidence(Prediction()).predictions
        joined = base.join(plain, on=["model", "task", "image_id"])
        assert joined.height == plain.height
        assert (joined["argmax"] == joined["argmax_right"]).all()
        states = rows.filter(pl.col("layer") >= 0).group_by("model", "layer").agg("state")
        for model, layer, found in states.iter_rows():
            is_unread = measurement.tower == "vision" and (model, layer) == ("llava", 2)
            assert set(found) == {"off-path" if is_unread else "acts"}
        total = rows["log_probabilities"].list.eval(pl.element().cast(pl.Float64).exp()).list.sum()
        assert ((total - 1).abs() < 2e-3).all()
        labelled = label_knockouts(rows, evidence.labels, measurement.tower, measurement.part)
        answers = list(collect_answers(labelled))
        assert len(answers) == 2 * len(FAMILIES)
        # Four questions have three options, four have four.
        assert all(one.chance == pytest.approx((1 / 3 + 1 / 4) / 2) for one in answers)


def test_accuracies_are_derived_by_every_metric(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path))
    catalogued = look_up(measured.zoo, measured.tasks)
    metrics = option_metrics(measured.store, catalogued, Want(Prediction()))
    assert metrics.height == 2 * len(FAMILIES)
    assert metrics["mean"].is_null().all()
    rows = measured.evidence(Prediction()).predictions
    truth = pl.col("image_id").str.slice(1).cast(pl.Int32) % 3
    expected = rows.group_by("model", "task").agg(
        right=(pl.col("argmax") == truth).mean(),
        mass=1 - pl.col("log_sum_exp").cast(pl.Float64).exp().mean(),
    )
    both = metrics.join(expected, on=["model", "task"])
    assert both["sum"].to_list() == pytest.approx(both["right"].to_list())
    assert both["outside"].to_list() == pytest.approx(both["mass"].to_list())
    generated = measured.evidence(Prediction(options="generated")).predictions
    assert set(generated["n_classes"]) == {5}
    shares = generated.group_by("model", "task").agg(share=(pl.col("argmax") == 4).mean())
    both = metrics.join(shares, on=["model", "task"])
    assert both["unanswered"].to_list() == pytest.approx(both["share"].to_list())


def test_mended_answers_measure_nothing(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path))
    before = measured.evidence(Prediction()).accuracies
    specs = [
        write_task(tmp_path, "words", "words", moved=1),
        write_task(tmp_path, "letters", "letters", moved=1),
    ]
    tasks = TaskCatalog(tasks=tuple(specs))
    found = measure(measured.zoo, tasks, measured.store, [Want(Prediction())], options=RunOptions())
    assert not found.tallies
    assert found.already_measured == 2 * len(FAMILIES)
    after = measured._replace(tasks=tasks).evidence(Prediction()).accuracies
    assert before["n_images"].to_list() == after["n_images"].to_list()
    assert index_task(specs[0]).questions == index_task(measured.tasks.tasks[0]).questions


def test_embeddings_and_profiles_of_the_vision_tower(measured):
    vectors = measured.evidence(Embedding()).read("embedding").measured
    assert set(vectors["model"]) == {"llava", "internvl"}
    assert set(vectors["vector"].list.len()) == {32}
    profiles = measured.evidence(Profile(settings=CHEAP)).profiles
    n_blocks = profiles.group_by("model").agg(pl.col("block_name").n_unique()).sort("model")
    # LLaVA does not read the last of its three.
    assert n_blocks.rows() == [("internvl", 3), ("llava", 2)]


def test_a_generative_zoo_is_ranked_without_labels(measured):
    found = zoo_answers(measured.evidence(Prediction()).predictions)
    assert list(found) == ["letters", "words"]
    for answers in found.values():
        assert answers.classes.shape == (len(FAMILIES), N_QUESTIONS - 1)
        assert np.isfinite(answers.entropy).all()
        assert np.isfinite(one_coin(answers.classes, answers.n_classes).accuracy).all()
        assert np.isfinite(vote(answers.classes, answers.n_classes)).all()
