"""The one door: which answer is given to which arguments, and what contradicts."""

from pathlib import Path

import pytest

from tests.api.made_store import CLASSES, MadeStore, fill_store, first_labels, write_labels
from vlmsel import select
from vlmsel.api.answer import AnswerOptions, TargetAnswer, prepare_target
from vlmsel.api.selection import Selection
from vlmsel.errors import SettingsError
from vlmsel.store.store import Store


def test_images_alone_give_a_ranking(made: MadeStore) -> None:
    found = select(made.images, store=Store(made.store))
    assert isinstance(found, Selection)
    assert found.ranking["model"][0] == "m0"


def test_class_names_and_labels_give_an_answer(own_made: MadeStore, tmp_path: Path) -> None:
    ready = prepare_target(own_made.images, own_made.known(), AnswerOptions(classnames=CLASSES))
    fill_store(ready.workspace())
    labels = write_labels(tmp_path / "labels.csv", first_labels(4))
    found = select(own_made.images, store=own_made.store, classnames=list(CLASSES), labels=labels)
    assert isinstance(found, TargetAnswer)
    assert (found.first, found.found.n_labels) == ("m0/made", 4)
    assert found.options.labels == labels
    question = AnswerOptions(tolerance=0.01)
    asked = select(own_made.images, store=own_made.store, classnames=CLASSES, question=question)
    assert (asked.options.tolerance, asked.options.classnames) == (0.01, CLASSES)


def test_a_store_that_is_not_there_stands_for_the_published_models(
    made: MadeStore, tmp_path: Path
) -> None:
    found = select(made.images, store=tmp_path / "none", question=AnswerOptions())
    assert found.zoo.is_shipped
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"labels": "labels.csv"}, "labels need the names of the classes: give classnames"),
        ({"classnames": "cat,dog"}, "a sequence of names, not the text 'cat,dog'"),
        ({"classnames": ["a", "b"], "profile_anyway": True}, "profile_anyway says nothing"),
        (
            {"classnames": ["a", "b"], "labels": "labels.csv", "selector": "consensus"},
            "leave out selector or labels",
        ),
        (
            {"classnames": ["a", "b"], "question": AnswerOptions(classnames=("a", "c"))},
            "classnames is given twice, also by the question",
        ),
        (
            {"labels": "labels.csv", "question": AnswerOptions(ignore_labels=True)},
            "ignore_labels takes no labels",
        ),
    ],
)
def test_arguments_that_contradict_are_refused(
    made: MadeStore, arguments: dict, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        select(made.images, store=made.store, **arguments)


def test_an_open_store_answers_no_question(made: MadeStore) -> None:
    with pytest.raises(SettingsError, match="store is a folder or an address"):
        select(made.images, store=Store(made.store), question=AnswerOptions())  # pyright: ignore
