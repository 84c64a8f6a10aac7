"""Effects of silenced layers, on stored knockouts: layer 0 names one class less, 1 knows all."""

import logging

import pytest

from tests.api.made_store import MODELS, N_IMAGES, TASKS, MadeStore, fill_store
from vlmsel.api.layers import (
    adapt_model,
    interaction_figure,
    judge_likeness,
    read_answers,
    selector_vectors,
    task_vectors,
)
from vlmsel.api.workspace import Workspace, open_workspace
from vlmsel.errors import ModelError, SelectionError, StoreError, TaskError

LAYERS = tuple(f"vision.{i}" for i in range(4))


@pytest.fixture(scope="module")
def workspace(made: MadeStore, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The made-up zoo with knockouts of its visual blocks in a store of their own."""
    store = tmp_path_factory.mktemp("layers") / "store"
    found = open_workspace(store, zoo=made.zoo, tasks=made.tasks, kinds=["knockout", "prediction"])
    fill_store(found)
    return found


def test_answers_are_of_every_model_and_task(workspace: Workspace) -> None:
    answers = read_answers(workspace)
    assert [found.key for found in answers] == [(m, "made", t) for m in MODELS for t in TASKS]
    first = answers[0]
    assert (first.layers, first.n_classes, first.chance) == (LAYERS, 3, pytest.approx(1 / 3))
    assert first.outcomes.base.mean() == pytest.approx(11 / 12)
    assert first.outcomes.hits[:, 1].all(), "without layer 1 all is right"


def test_models_and_tasks_can_be_chosen(workspace: Workspace) -> None:
    answers = read_answers(workspace, models=["m1", "m3/made"], tasks=["bee"])
    assert [found.key for found in answers] == [("m1", "made", "bee"), ("m3", "made", "bee")]
    with pytest.raises(ModelError, match="m9"):
        read_answers(workspace, models=["m9"])
    with pytest.raises(TaskError, match="wasp"):
        read_answers(workspace, tasks=["wasp"])


def test_what_is_not_measured_says_how_to_measure_it(workspace: Workspace) -> None:
    measure = "run `vlmsel measure knockout --set tower=text --set part=block`"
    with pytest.raises(StoreError, match=measure):
        read_answers(workspace, towers=["text"])


def test_a_model_counts_where_all_its_cells_are_there(
    workspace: Workspace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = workspace.evidence
    lost = next(c for c in evidence.wanted("knockout") if (c.model, c.task) == ("m2", "cow"))
    known = workspace.store.cells
    monkeypatch.setattr(
        workspace.store,
        "cells",
        lambda *args: {cell: path for cell, path in known(*args).items() if cell != lost},
    )
    with caplog.at_level(logging.WARNING):
        keys = {found.key for found in read_answers(workspace)}
    assert len(keys) == len(MODELS) * len(TASKS) - 1
    assert ("m2", "made", "cow") not in keys
    assert "passed over 1 model(s) and task(s) with missing knockouts" in caplog.text


def test_vectors_are_gains_and_losses_per_image(workspace: Workspace) -> None:
    found = task_vectors(read_answers(workspace))
    assert set(found.vectors["layer"]) == set(LAYERS)
    delta = (found.vectors["gained"] - found.vectors["lost"]) / N_IMAGES
    assert found.vectors["delta"].to_list() == pytest.approx(delta.to_list())
    best = found.vectors.filter(model="m4", task="ant", layer="vision.1")
    assert best["delta"].item() == pytest.approx(9 / 12)
    assert found.idle.is_empty()
    assert [likeness.model for likeness in found.likenesses] == [(m, "made") for m in MODELS]
    vectors = selector_vectors(found.likenesses)
    assert vectors.select("model", "task").n_unique() == vectors.height


def test_the_heatmap_is_of_one_model(workspace: Workspace) -> None:
    found = task_vectors(read_answers(workspace, models=["m1"]))
    figure = interaction_figure(found, ("m1", "made"))
    assert figure is not None
    texts = [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    assert set(TASKS) <= set(texts)
    assert interaction_figure(found, ("m2", "made")) is None


def test_a_layer_is_chosen_and_judged_on_other_items(workspace: Workspace) -> None:
    (answers,) = read_answers(workspace, models=["m3"], tasks=["ant"])
    whole = adapt_model(answers, rule="published")
    assert (whole.adaptation.layer, whole.others) == ("vision.1", None)
    assert whole.adaptation.optimistic_gain == pytest.approx(7 / 12)
    some = adapt_model(answers, rule="published", n_items=6, seed=1)
    assert some.others is not None
    gain, low, high, n_items = some.others
    assert n_items == N_IMAGES - 6
    assert low <= gain <= high
    assert adapt_model(answers, rule="published", n_items=6, seed=1).others == some.others
    only = adapt_model(answers, rule="published", layers=["vision.0"])
    assert only.adaptation.layer in (None, "vision.0")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": ["vision.77"]}, r"no layer 'vision.77'"),
        ({"n_items": 1}, "m3/made/ant: 12 items are labelled and measured, not 1"),
        ({"n_items": 13}, "not 13"),
    ],
)
def test_impossible_choices_are_refused(workspace: Workspace, options: dict, words: str) -> None:
    (answers,) = read_answers(workspace, models=["m3"], tasks=["ant"])
    with pytest.raises(SelectionError, match=words):
        adapt_model(answers, **options)


def test_likeness_is_judged_beside_average_rank(made: MadeStore, workspace: Workspace) -> None:
    found = judge_likeness(made.workspace(), task_vectors(read_answers(workspace)))
    assert {"average-rank", "dcd", "interaction"} <= set(found.metrics["selector"])
