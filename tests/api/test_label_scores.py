"""Scores of a zoo for labelled pictures whose embeddings are stored."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.api.made_store import (
    CLASSES,
    MODELS,
    N_IMAGES,
    MadeStore,
    fill_store,
    first_labels,
    write_labels,
)
from vlmsel.api.label_scores import LabelledTarget, labelled_target, score_target, usable_target
from vlmsel.errors import SelectionError, TaskError

ALL = first_labels(N_IMAGES)


@pytest.fixture
def target(own_made: MadeStore, tmp_path: Path) -> LabelledTarget:
    """Twelve labelled pictures; nothing is stored of them yet."""
    labels = write_labels(tmp_path / "labels.csv", ALL)
    return labelled_target(own_made.workspace(), own_made.images, labels)


def test_a_folder_and_a_file_make_a_target(target: LabelledTarget) -> None:
    assert target.images.task == "target:images"
    assert target.images.image_ids == tuple(sorted(name for name, _ in ALL))
    assert target.workspace.tasks.tasks[0].classnames == CLASSES
    assert set(target.workspace.wants) == {"embedding", "prediction"}
    assert (target.task.groups.n_classes, target.task.groups.smallest) == (3, 4)


def test_scores_rank_the_zoo_with_an_interval_of_every_place(target: LabelledTarget) -> None:
    fill_store(target.workspace)
    done: list[tuple[str, int, int]] = []
    found = score_target(
        target, ("logme", "logme", "hscore"), n_resamples=10,
        on_model=lambda *told: done.append(told),
    )  # fmt: skip
    assert done == [(f"{model}/made", i + 1, 5) for i, model in enumerate(MODELS)]
    logme = found.table.filter(estimator="logme")
    assert logme.height == 5
    places = dict(logme.select("model", "place").iter_rows())
    assert (sorted(places.values()), places["m0"]) == ([1, 2, 3, 4, 5], 1)
    assert (logme["place_low"] <= logme["place"]).all()
    assert (logme["place"] <= logme["place_high"]).all()
    accuracies = dict(logme.select("model", "zero_shot_accuracy").iter_rows())
    assert accuracies["m0"] == pytest.approx(11 / 12)
    unranked = found.table.filter(pl.col("place").is_null())
    assert set(unranked["estimator"]) == {"hscore"}
    assert unranked["reason"].null_count() == 0
    assert found.notes[0] == "12 labelled images of 3 classes, 4 in the smallest"
    assert found.left_out.is_empty()


def test_the_same_seed_gives_the_same_intervals(target: LabelledTarget) -> None:
    fill_store(target.workspace)
    first, again = (score_target(target, ("logme",), n_resamples=5, seed=3) for _ in range(2))
    assert first.table.equals(again.table)
    none = score_target(target, ("logme",), n_resamples=0).table
    assert none["place_low"].null_count() == 5
    assert none["place"].null_count() == 0


def test_an_image_that_no_model_could_embed_counts_for_none(target: LabelledTarget) -> None:
    fill_store(target.workspace, failed=["03.png"])
    assert "03.png" not in usable_target(target).images.image_ids
    found = score_target(target, ("logme",), n_resamples=0)
    note = "1 labelled image has no embedding and counts for no model: 03.png"
    assert found.notes[:2] == ("11 labelled images of 3 classes, 3 in the smallest", note)
    assert found.table.height == 5


def test_without_embeddings_no_model_can_be_scored(target: LabelledTarget) -> None:
    assert usable_target(target).images.image_ids == target.images.image_ids
    with pytest.raises(SelectionError, match="can be scored: it has no embedding of these images"):
        score_target(target, ("logme",))
    with pytest.raises(SelectionError, match="did you mean logme"):
        score_target(target, ("logmee",))


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([("00.png", "a"), ("01.png", "a")], SelectionError, "one class"),
        ([("00.png", "a"), ("no.png", "b")], TaskError, r"no image 'no\.png'"),
        ([("00.png", "a"), ("00.png", "b")], TaskError, "comes twice"),
        ([], TaskError, "holds no labels"),
        ([("00.png", ""), ("01.png", "b")], TaskError, "needs an image and a label"),
    ],
)
def test_labels_that_cannot_be_scored_are_refused(
    made: MadeStore,
    tmp_path: Path,
    rows: list[tuple[str, str]],
    error: type[Exception],
    words: str,
) -> None:
    labels = write_labels(tmp_path / "labels.csv", rows)
    with pytest.raises(error, match=words):
        labelled_target(made.workspace(), made.images, labels)


def test_files_that_are_wrong_or_gone_are_named(made: MadeStore, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    with pytest.raises(TaskError, match=r"labels\.csv"):
        labelled_target(made.workspace(), made.images, labels)
    labels.write_text("picture,label\n00.png,a\n")
    with pytest.raises(TaskError, match="no column image"):
        labelled_target(made.workspace(), made.images, labels)
    with pytest.raises(TaskError, match="nowhere"):
        labelled_target(made.workspace(), tmp_path / "nowhere", labels)


def test_codes_follow_the_names_of_the_file(made: MadeStore, tmp_path: Path) -> None:
    rows = [("00.png", "b"), ("01.png", "a"), ("02.png", "b"), ("03.png", "a")]
    labels = write_labels(tmp_path / "labels.csv", rows)
    target = labelled_target(made.workspace(), made.images, labels)
    np.testing.assert_array_equal(target.images.codes, [1, 0, 1, 0])
