"""Target of an answer: class names and labels of folders, of files and of questions."""

import base64
import io
import json

import pytest
from PIL import Image

from tests.api.made_store import (
    CLASSES,
    N_IMAGES,
    draw_pictures,
    first_labels,
    true_class,
    write_labels,
)
from vlmsel.api.answer_options import AnswerOptions
from vlmsel.api.answer_target import read_target
from vlmsel.errors import TaskError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "cache"))


def png(number):
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (number, 9, 7)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def asked(tmp_path):
    """Three questions, two with an answer."""
    rows = [
        {"id": f"q{i}", "question": "?", "options": ["a", "b", "c"][: 2 + i % 2],
         "answer": (0, 2, None)[i], "image": base64.b64encode(png(i)).decode()}
        for i in range(3)
    ]  # fmt: skip
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def test_options_are_classes_and_answers_are_labels(asked, tmp_path):
    found = read_target(asked, AnswerOptions(questions=asked, answers="words"))
    assert found.classnames == ("A", "B", "C")
    assert found.labels == {"q0": 0, "q1": 2}
    assert sorted(found.order) == ["q0", "q1", "q2"]
    assert not found.is_sorted
    assert found.spec.answers == "words"
    assert not read_target(asked, AnswerOptions(questions=asked, ignore_labels=True)).labels
    (tmp_path / "labels.csv").write_text("image,label\nq2,b\n")
    with_file = AnswerOptions(questions=asked, labels=tmp_path / "labels.csv")
    assert read_target(asked, with_file).labels == {"q2": 1}


def test_class_names_beside_questions_are_refused(asked):
    with pytest.raises(TaskError, match="questions take the place of class names"):
        read_target(asked, AnswerOptions(questions=asked, classnames=("a", "b")))


def test_class_folders_give_names_and_labels_of_all(tmp_path):
    folder = draw_pictures(tmp_path / "pictures", by_class=True)
    found = read_target(folder, AnswerOptions())
    assert (found.classnames, found.from_folders, found.is_sorted) == (CLASSES, True, True)
    assert found.spec.name == "target:pictures"
    assert {image: CLASSES[label] for image, label in found.labels.items()} == {
        image: true_class(image) for image in found.order
    }
    ignored = read_target(folder, AnswerOptions(ignore_labels=True))
    assert (ignored.labels, ignored.is_sorted) == ({}, True)
    # Names that are given come before those of the folders, whose labels still fit.
    named = read_target(folder, AnswerOptions(classnames=("star", "circle", "square")))
    assert (named.from_folders, named.is_sorted) == (False, False)


def test_a_file_gives_labels_in_the_order_in_which_pictures_are_asked_for(tmp_path):
    folder = draw_pictures(tmp_path / "pictures")
    rows = first_labels(N_IMAGES)
    file = write_labels(tmp_path / "labels.csv", [*rows[:3], (rows[5][0], "none")])
    found = read_target(folder, AnswerOptions(classnames=CLASSES, labels=file))
    assert found.order == tuple(image for image, _ in rows)
    assert (found.pictures.n_held, found.pictures.n_different) == (12, 12)
    assert [found.labels[image] for image, _ in rows[:3]] == [CLASSES.index(c) for _, c in rows[:3]]
    assert found.labels[rows[5][0]] < 0, "of none of the classes"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("nothing.png", "star")], "the task has no image 'nothing.png'"),
        ([("00.png", "zebra")], "no class is named 'zebra'"),
        ([("00.png", "star"), ("00.png", "circle")], "comes twice; keep one row"),
        ([("00.png", "star;circle")], "a task of several labels an image is no classification"),
        ([], "holds no labels"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, rows, words):
    folder = draw_pictures(tmp_path / "pictures", n_images=2)
    file = write_labels(tmp_path / "labels.csv", rows)
    with pytest.raises(TaskError, match=words):
        read_target(folder, AnswerOptions(classnames=CLASSES, labels=file))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classnames": ("a", "b", "A")}, "the class name 'a' comes twice; name every class once"),
        ({"classnames": ("a",)}, "there is one class, 'a'; a choice of models needs 2 or more"),
        ({"prompts": "clip-benchmark:flickr30k"}, "'flickr30k' is a retrieval task"),
        ({"prompts": "mnist"}, "prompts 'mnist' name no known task: write clip-benchmark:NAME"),
        ({"templates": ("the letter {}.",)}, "templates need the names of the classes"),
    ],
)
def test_impossible_classes_are_refused(tmp_path, options, words):
    folder = draw_pictures(tmp_path / "pictures", n_images=1)
    with pytest.raises(TaskError, match=words):
        read_target(folder, AnswerOptions(**options))
