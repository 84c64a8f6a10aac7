"""Texts are measured without an image, under keys of texts and text tower alone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import TaskError
from vlmsel.evidence.catalog_contents import look_up
from vlmsel.evidence.wanted_cells import wanted_ids, wanted_shards
from vlmsel.execution.plan.preparation import plan_catalogued
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.execution.work import decoded_images as decoded_module
from vlmsel.measurements import Text, Want
from vlmsel.store.store import Store
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo
from vlmsel.zoo.loader import load_model

WANTS = [Want(Text())]


def rows(store: Store) -> pl.DataFrame:
    return store.scan(store.cells("text", Text().digest)).rows


def changed(tasks: TaskCatalog, **update: object) -> TaskCatalog:
    return TaskCatalog(tasks=tuple(task.model_copy(update=update) for task in tasks.tasks))


def test_texts_are_measured_once_and_no_image_is_read(
    zoo: Zoo, tasks: TaskCatalog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr(decoded_module, "read_shard", read)
    summary = measure(zoo, tasks, store, WANTS)
    assert not summary.failures
    found = rows(store)
    first = tasks.tasks[0]
    assert first.classnames is not None
    of_first = found.filter(task=first.name, model=zoo.models[0].model)
    named = dict(of_first.select("text", "vector").iter_rows())
    assert set(first.classnames) <= set(named)
    # Word for word what the model's own text tower says.
    encode = load_model(zoo.models[0]).encode_text
    assert encode is not None
    text = sorted(named)[0]
    np.testing.assert_allclose(named[text], encode([text])[0].detach().numpy(), atol=1e-6)
    again = measure(zoo, tasks, store, WANTS)
    assert again.already_measured == store_size(store)
    assert rows(store).equals(found)


def store_size(store: Store) -> int:
    return len(store.cells("text", Text().digest))


def test_keys_know_texts_and_text_tower_alone(zoo: Zoo, tasks: TaskCatalog) -> None:
    catalogued = look_up(zoo, tasks)
    before = wanted_ids(catalogued.models, wanted_shards(catalogued, WANTS))
    models = tuple(
        (spec, identity.model_copy(update={"preprocessing": "other"}))
        for spec, identity in catalogued.models
    )
    assert wanted_ids(models, wanted_shards(catalogued, WANTS)) == before
    other = look_up(zoo, changed(tasks, templates=("a drawing of {}",)))
    assert not wanted_ids(other.models, wanted_shards(other, WANTS)) & before
    weights = tuple(
        (spec, identity.model_copy(update={"weights_sha256": "0" * 64}))
        for spec, identity in catalogued.models
    )
    assert not wanted_ids(weights, wanted_shards(catalogued, WANTS)) & before


def test_wrong_captions_fail_their_task_and_no_other(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    first, *others = tasks.tasks
    bad = first.model_copy(update={"captions": "/nowhere/captions.yaml"})
    summary = measure(zoo, TaskCatalog(tasks=(bad, *others)), store, WANTS)
    assert [fault.task for fault in summary.faults] == [first.name]
    assert "captions" in summary.faults[0].reason
    assert set(rows(store)["task"]) == {task.name for task in others}


def test_tasks_without_class_names_are_named(zoo: Zoo, tasks: TaskCatalog, store: Store) -> None:
    bare = changed(tasks, classnames=None, templates=None)
    with pytest.raises(TaskError, match="has no class names, which text needs"):
        measure(zoo, bare, store, WANTS)


def test_tasks_of_questions_are_named_only_where_tasks_without_class_names_are(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    found = look_up(zoo, tasks)
    first, *others = found.prompts
    asked = replace(found, prompts={**found.prompts, first: TaskQuestions({}, "letters", 4)})
    options = RunOptions()
    (fault,) = plan_catalogued(asked, store, WANTS, options=options).faults
    assert fault.reason == f"task '{first}' asks questions of each image: texts need class names"
    plan = plan_catalogued(asked, store, WANTS, options=options, name_unprompted=False)
    assert not plan.faults
    assert {cell.task for cell in plan.wanted} == set(others)
