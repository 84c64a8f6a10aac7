"""The same pictures ranked three times, on stored values."""

from pathlib import Path

import polars as pl

from tests.api.made_store import (
    CLASSES,
    MODELS,
    N_IMAGES,
    TASKS,
    MadeStore,
    draw_pictures,
    fill_store,
    n_right,
    true_class,
)
from vlmsel.api.answer import AnswerOptions, prepare_target
from vlmsel.api.demo_rankings import Sample, rank_three_ways
from vlmsel.api.image_selection import target_workspace
from vlmsel.api.known_zoo import zoo_of_workspace
from vlmsel.api.laboratory import current_knowledge
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary


def test_a_sample_is_ranked_by_images_by_class_names_and_by_labels(
    own_made: MadeStore, tmp_path: Path
) -> None:
    folder = draw_pictures(tmp_path / "sample")
    workspace = own_made.workspace()
    knowledge = current_knowledge(workspace)
    templates = ("a photo of a {}.",)
    truth = {path.name: true_class(path.name) for path in folder.iterdir()}
    sample = Sample(folder, TASKS[0], CLASSES, templates, truth)
    options = AnswerOptions(classnames=CLASSES, templates=templates)
    ready = prepare_target(folder, zoo_of_workspace(workspace, knowledge), options)
    fill_store(ready.workspace())
    done: list[tuple[str, int]] = []

    def profile(plan: Plan, what: str) -> RunSummary:
        done.append((what, plan.n_missing))
        fill_store(target_workspace(workspace, folder), ["profile"])
        return RunSummary()

    found = rank_three_ways(workspace, knowledge, sample, RunOptions(), profile)
    assert done == [("profiles of the sample", 5)]
    assert found.images_alone.images.n_images == N_IMAGES
    assert found.class_names.found.n_labels == 0
    assert found.labels.found.n_labels == N_IMAGES
    # The task that the sample is like is no source.
    assert found.images_alone.n_sources == len(TASKS) - 1
    assert found.labels.zoo.sources == TASKS[1:]
    table = found.table
    assert table["model"].to_list() == list(MODELS)
    assert table["true_rank"].to_list() == table["labels"].to_list() == [1, 2, 3, 4, 5]
    assert table["accuracy"].to_list() == [n_right(model, "sample") / N_IMAGES for model in MODELS]
    written = pl.read_csv(found.labels_file)
    assert dict(written.iter_rows()) == truth
