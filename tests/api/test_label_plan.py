"""Plan of a session of labelling: classes, files and the labels of earlier sessions."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.made_store import CLASSES, MODELS, N_IMAGES, MadeStore, first_labels, write_labels
from vlmsel.api.answer import AnswerOptions
from vlmsel.api.known_zoo import shipped_zoo
from vlmsel.api.label_plan import (
    LabelPlan,
    check_extra,
    name_classes,
    plan_labels,
    read_book,
    with_classes,
)
from vlmsel.errors import SelectionError, SettingsError, TaskError
from vlmsel.extras import LIBRARIES

NAMED = AnswerOptions(classnames=CLASSES)


def plan(
    made: MadeStore, out: Path | None, options: AnswerOptions = NAMED, order: str = "random"
) -> LabelPlan:
    return plan_labels(made.images, made.known(), options, out=out, order=order)


def test_a_new_session_has_all_images_open_and_writes_nothing(
    made: MadeStore, tmp_path: Path
) -> None:
    found = plan(made, tmp_path / "labels.csv")
    assert found.book.images == tuple(name for name, _ in first_labels(N_IMAGES))
    assert (found.book.labels, found.book.classes) == ({}, CLASSES)
    assert [found.ready.zoo.models[i][0] for i in found.ready.chosen] == list(MODELS)
    assert found.order.is_random_sample
    assert list(tmp_path.iterdir()) == []


def test_labels_lie_beside_the_store_unless_said(made: MadeStore) -> None:
    assert plan(made, None).files.path == made.store.parent / "labels" / "images.csv"


def test_labels_of_an_earlier_session_go_on(made: MadeStore, tmp_path: Path) -> None:
    out = write_labels(tmp_path / "labels.csv", first_labels(3))
    book = plan(made, out).book
    assert book.labels == dict(first_labels(3))
    assert book.queue()[0] == first_labels(4)[3][0]
    # Whatever labels the options name: those of the session count.
    asked = replace(NAMED, labels=tmp_path / "other.csv")
    found = plan(made, out, asked)
    assert found.book.labels == book.labels
    assert found.options.labels == tmp_path / "other.csv"


def test_labels_of_images_that_would_not_be_asked_for_stay(made: MadeStore, tmp_path: Path) -> None:
    rows = first_labels(6)
    out = write_labels(tmp_path / "labels.csv", [rows[0], rows[5]])
    found = plan(made, out)
    order = tuple(name for name, _ in rows[:5])
    ready = replace(found.ready, target=replace(found.ready.target, order=order))
    book = read_book(found.files, ready, len(CLASSES))
    assert book.images == (*order, rows[5][0])
    assert dict(book.labels) == dict([rows[0], rows[5]])


def test_pictures_that_cannot_be_read_are_passed_over(made: MadeStore, tmp_path: Path) -> None:
    found = plan(made, tmp_path / "labels.csv")
    name = first_labels(1)[0][0]
    pictures = replace(found.ready.target.pictures, unreadable=((name, "broken"),))
    ready = replace(found.ready, target=replace(found.ready.target, pictures=pictures))
    book = read_book(found.files, ready, len(CLASSES))
    assert book.unreadable == {name: "broken"}
    assert book.queue()[0] == first_labels(2)[1][0]


def test_other_classes_make_another_target(made: MadeStore, tmp_path: Path) -> None:
    found = plan(made, tmp_path / "labels.csv")
    more = with_classes(found.ready, (*CLASSES, "moon"))
    assert more.target.classnames == (*CLASSES, "moon")
    assert more.options.ignore_labels
    with pytest.raises(TaskError, match="the class name 'star' comes twice"):
        with_classes(found.ready, (*CLASSES, "Star"))
    # Prompts of a known task give the templates where there are no others.
    known = AnswerOptions(prompts="clip-benchmark:mnist")
    assert name_classes(known, ("a", "b")).prompts == "clip-benchmark:mnist"
    assert name_classes(replace(known, templates=("a {}.",)), ("a", "b")).prompts is None


def test_of_published_models_a_shortlist_is_run(made: MadeStore, tmp_path: Path) -> None:
    zoo = shipped_zoo(str(tmp_path / "none"), None)
    found = plan_labels(made.images, zoo, NAMED, out=tmp_path / "labels.csv")
    assert len(found.ready.chosen) == 10


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (AnswerOptions(), TaskError, "labels need the names of the classes: give --classnames"),
        (AnswerOptions(classnames=("a",)), TaskError, "there is one class, 'a'"),
        (replace(NAMED, shortlist=0), SelectionError, "a shortlist has at least 1 model"),
        (
            AnswerOptions(prompts="clip-benchmark:imagenet1k"),
            TaskError,
            "same name.*: missile, sunglasses; give --classnames",
        ),
    ],
)
def test_what_cannot_be_labelled_is_refused(
    made: MadeStore,
    tmp_path: Path,
    options: AnswerOptions,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        plan(made, tmp_path / "labels.csv", options)


def test_files_and_orders_that_cannot_be_are_refused(made: MadeStore, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="that is a folder; give --out FILE"):
        plan(made, tmp_path)
    with pytest.raises(SelectionError, match="there is no picking order 'codo'"):
        plan(made, tmp_path / "labels.csv", order="codo")
    out = write_labels(tmp_path / "labels.csv", [("00.png", "zebra")])
    with pytest.raises(TaskError, match="no class is named 'zebra'"):
        plan(made, out)
    out = write_labels(tmp_path / "labels.csv", [("other.png", "star")])
    with pytest.raises(TaskError, match=r"the task has no image 'other\.png'"):
        plan(made, out)


def test_a_missing_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "label", ("no_such_server",))
    with pytest.raises(SettingsError, match=r"pip install 'vlmsel\[label\]'"):
        check_extra()
