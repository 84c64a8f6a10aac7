"""From a ranking and a laboratory to the page that people look at."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.api.made_store import TASKS, MadeStore
from vlmsel.api.image_selection import select_by_images
from vlmsel.api.laboratory import Knowledge, current_knowledge, evaluate, mean_dcd
from vlmsel.api.report_inputs import (
    Laboratory,
    add_truth,
    held_out_selection,
    selection_report,
    write_laboratory_report,
)
from vlmsel.api.selection import FAILED_COLUMNS
from vlmsel.errors import SelectionError


@pytest.fixture
def knowledge(made: MadeStore) -> Knowledge:
    return current_knowledge(made.workspace())


def test_a_known_task_is_ranked_as_if_it_were_new_and_the_truth_stands_beside(
    knowledge: Knowledge,
) -> None:
    selection = held_out_selection(knowledge, "odd", selector="average-rank")
    assert selection.n_sources == len(TASKS) - 1
    table = add_truth(selection, knowledge)
    assert table["model"].to_list() == ["m0", "m1", "m2", "m3", "m4"]
    assert table["true_rank"].to_list() == [5, 4, 3, 2, 1]
    assert table["accuracy"].is_sorted()


def test_a_task_that_is_unknown_is_named_with_the_nearest(knowledge: Knowledge) -> None:
    with pytest.raises(SelectionError, match=r"task 'bees' has no profiles .*did you mean bee"):
        held_out_selection(knowledge, "bees")
    bare = replace(knowledge, profiles=knowledge.profiles.clear())
    with pytest.raises(SelectionError, match="task 'bee' has no profiles and accuracies in 5 mod"):
        held_out_selection(bare, "bee")


def test_the_page_of_a_ranking_tells_target_failures_and_sentences(
    made: MadeStore, tmp_path: Path
) -> None:
    selection = select_by_images(made.images, store=made.store)
    row = ("", "", "images", "bad.png", "it is broken")
    failed = pl.DataFrame([row], schema=FAILED_COLUMNS, orient="row")
    images = replace(selection.images, failed_images=failed)
    page = selection_report(tmp_path / "page.html", replace(selection, images=images))
    text = page.read_text(encoding="utf-8")
    assert "Which model for images?" in text
    assert selection.headline.split(". ")[0] in text
    assert f"Selector average-rank: {selection.why}." in text
    assert "it is broken" in text
    assert selection.settings is not None
    assert selection.settings.digest in text


def test_the_page_of_a_laboratory_holds_verdict_and_ranking(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    loo = evaluate(knowledge, ["average-rank", "random"])
    laboratory = Laboratory(knowledge, loo, None, mean_dcd(knowledge))
    selection = held_out_selection(knowledge, "bee", selector="average-rank")
    page = write_laboratory_report(
        tmp_path / "page.html", laboratory, selection, settings=None, title="A small zoo"
    )
    text = page.read_text(encoding="utf-8")
    assert "A small zoo" in text
    assert knowledge.about in text
    assert "Ranking for bee" in text
    assert "true rank below" in text
