"""Ranking by images alone, on profiles that are in the store."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.api.made_store import MODELS, N_IMAGES, TASKS, MadeStore, draw_pictures, fill_store
from vlmsel.api.image_selection import (
    Steps,
    read_target,
    select_by_images,
    target_pictures,
    target_workspace,
)
from vlmsel.cli.views.ranking_view import selection_dict
from vlmsel.errors import SelectionError, TaskError
from vlmsel.execution.plan.work_plan import Plan


def profile(made: MadeStore, images: Path) -> None:
    """Keep profiles of some pictures."""
    fill_store(target_workspace(made.workspace(), images), ["profile"])


def test_profiles_of_the_images_decide_and_nothing_is_measured(own_made: MadeStore) -> None:
    profile(own_made, own_made.images)
    plans: list[Plan] = []
    found = select_by_images(
        own_made.images, store=own_made.store, selector="dcd", steps=Steps(on_plan=plans.append)
    )
    assert (found.target, found.selector, found.why) == ("images", "dcd", "chosen by you")
    assert found.images.n_images == N_IMAGES
    assert found.ranking["model"].to_list() == list(MODELS)
    assert [(plan.n_measured, plan.n_missing) for plan in plans] == [(5, 0)]
    assert found.summary is not None
    assert (found.summary.measured, found.summary.skipped) == (0, 5)
    # The pictures' profiles are like those of all tasks but the last.
    weights = found.details.weights
    assert weights is not None
    by_source = dict(weights.filter(model="m0").select("source", "weight").iter_rows())
    assert min(by_source, key=lambda name: by_source[name]) == TASKS[-1]
    assert found.settings == own_made.workspace().settings


def test_where_nothing_is_asked_of_the_images_no_model_looks_at_them(made: MadeStore) -> None:
    choices, pictures = [], []
    steps = Steps(on_choice=choices.append, on_pictures=pictures.append)
    before = sorted(made.store.rglob("*"))
    found = select_by_images(made.images, store=made.workspace(), steps=steps)
    assert (found.selector, found.images_looked_at) == ("average-rank", False)
    assert [choice.name for choice in choices] == ["average-rank"]
    assert [found.n_different for found in pictures] == [N_IMAGES]
    assert "images-not-looked-at" in [notice.code for notice in found.warnings]
    assert sorted(made.store.rglob("*")) == before


def test_profiles_that_are_there_tell_whether_any_source_is_alike(own_made: MadeStore) -> None:
    profile(own_made, own_made.images)
    found = select_by_images(own_made.images, store=own_made.store)
    assert found.selector == "average-rank"
    assert found.images_looked_at
    assert found.novelty is not None
    asked = select_by_images(own_made.images, store=own_made.store, profile_anyway=True)
    assert asked.novelty == found.novelty


def test_a_folder_called_like_a_source_is_another_task(own_made: MadeStore, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(own_made.images, tmp_path / TASKS[0]))
    profile(own_made, folder)
    found = select_by_images(folder, store=own_made.store, selector="dcd")
    assert (found.target, found.n_sources) == (TASKS[0], len(TASKS))
    assert {TASKS[0], f"{TASKS[0]} (source)"} <= set(found.profiles["task"])
    assert set(found.images.profiles["task"]) == {TASKS[0]}
    # Equal pictures of another name have cells of their own.
    target = target_workspace(own_made.workspace(), own_made.images)
    assert not target.evidence.files("profile")


def test_the_choice_does_not_depend_on_the_images(made: MadeStore, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / "black").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "black" / f"{number}.png")
    noise = select_by_images(made.images, store=made.store)
    black = select_by_images(tmp_path / "black", store=made.store)
    assert black.ranking.equals(noise.ranking)
    assert black.headline.startswith("No trustworthy ranking for these images. 6 of 6 images are")
    assert black.images.pictures is not None
    constant = selection_dict(black, 1)["constant_images"]
    assert constant == black.images.pictures.constant == tuple(f"{i}.png" for i in range(6))


def test_images_that_cannot_be_read_are_named(made: MadeStore, tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "some", n_images=6)
    (folder / "broken.png").write_bytes(b"no picture")
    found = select_by_images(folder, store=made.store)
    assert found.failed_images["image_id"].to_list() == ["broken.png"]
    assert set(found.failed_images["task"]) == {"some"}
    assert "failed-images" in [notice.code for notice in found.warnings]


def test_models_that_could_not_be_profiled_leave_no_ranking(own_made: MadeStore) -> None:
    target = target_workspace(own_made.workspace(), own_made.images)
    measurement = target.wants["profile"].measurement
    with pytest.raises(SelectionError, match="on the images: nothing was measured"):
        read_target(target, frozenset({"profile"}), target_pictures(target))
    for cell in target.evidence.wanted("profile"):
        target.store.fail(cell, measurement, "no memory")
    with pytest.raises(SelectionError, match="no model could be profiled on the images: no memory"):
        read_target(target, frozenset({"profile"}), target_pictures(target))


def test_what_is_wrong_is_found_before_the_work(made: MadeStore, tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="no selector 'dcd-poled'; did you mean dcd-pooled"):
        select_by_images(tmp_path / "none", store=made.store, selector="dcd-poled")
    with pytest.raises(TaskError, match=f"folder {tmp_path / 'none'} does not exist"):
        select_by_images(tmp_path / "none", store=made.store)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no picture")
    with pytest.raises(TaskError, match="not an image of a known format"):
        select_by_images(tmp_path / "broken", store=made.store)
