"""A ranking and what may be promised of it."""

from dataclasses import replace

import polars as pl
import pytest

from tests.api.made_store import MadeStore
from vlmsel.api.image_selection import select_by_images
from vlmsel.api.selection import FAILED_COLUMNS, Selection, TargetImages
from vlmsel.evaluation.trust import Trust
from vlmsel.tasks.pictures import Pictures


@pytest.fixture(scope="module")
def selection(made: MadeStore) -> Selection:
    """A ranking of five models by six sources, whose images were not looked at."""
    return select_by_images(made.images, store=made.store)


def test_images_that_no_model_looked_at_are_none() -> None:
    assert TargetImages().n_images == 0
    rows = pl.DataFrame({"image_id": ["a.png", "a.png", "b.png"]})
    assert TargetImages(profiles=rows).n_images == 2


def test_few_sources_promise_nothing(selection: Selection) -> None:
    assert selection.few_sources
    assert not selection.is_trustworthy
    assert selection.expected_loss is None
    assert selection.headline.startswith("No trustworthy ranking for these images. ")
    assert "6 known tasks are too few, 10 are needed" in selection.headline
    assert selection.warnings[0].code == "few-sources"
    assert (selection.n_sources, selection.unlike_every_source) == (6, None)


@pytest.mark.parametrize(
    ("n_tasks", "words"), [(1, "1 known task is too few, 10 are"), (9, "9 known tasks are too few")]
)
def test_few_sources_are_counted(selection: Selection, n_tasks: int, words: str) -> None:
    few = Trust("average-rank", n_tasks, 0.03, 0.01, 0.05, n_tasks, (5, 5), n_ranked=5)
    assert words in replace(selection, trust=few).headline


def test_with_enough_sources_the_loss_is_told(selection: Selection) -> None:
    enough = Trust("average-rank", 12, 0.03, 0.01, 0.05, 11, (5, 5), n_ranked=5)
    found = replace(selection, trust=enough)
    assert found.is_trustworthy
    assert found.expected_loss == 0.03
    assert found.headline.startswith("m0/made is ranked first; expected loss")


def test_too_few_pictures_void_it_whatever_the_sources_say(selection: Selection) -> None:
    enough = Trust("average-rank", 12, 0.03, 0.01, 0.05, 11, (5, 5), n_ranked=5)
    few = replace(selection.images, pictures=Pictures(n_held=3, n_read=3))
    found = replace(selection, trust=enough, images=few)
    assert found.warnings[0].code == "few-pictures"
    assert found.expected_loss is None


def test_the_text_holds_headline_warnings_and_the_first_models(selection: Selection) -> None:
    row = ("", "", "images", "bad.png", "broken")
    failed = pl.DataFrame([row], schema=FAILED_COLUMNS, orient="row")
    found = replace(selection, images=replace(selection.images, failed_images=failed))
    lines = str(found).splitlines()
    assert lines[0] == f"images: {found.headline}"
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert warnings == [f"warning: {notice.text}" for notice in found.warnings]
    assert "failed-images" in [notice.code for notice in found.warnings]
    assert "m4" in lines[-2]
