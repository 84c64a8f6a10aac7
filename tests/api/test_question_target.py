"""A target of multiple-choice questions: its options are classes, its answers labels."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from vlmsel.api.answer_estimates import compare_with_sources
from vlmsel.api.answer_options import AnswerOptions
from vlmsel.api.answer_target import read_target
from vlmsel.errors import TaskError
from vlmsel.selection.zoo_answers import ZooAnswers


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


def answers(classes):
    """Three models that give these answers, of four classes."""
    table = np.array([classes] * 3)
    nothing = np.full(table.shape, np.nan)
    models = tuple((name, "x") for name in "abc")
    return ZooAnswers(models, ("q0", "q1", "q2"), table, 4, nothing, nothing, nothing)


@pytest.mark.parametrize(("number", "name"), [(3, "none of the options"), (1, "'B'")])
def test_answers_that_are_mostly_one_class_are_named(asked, number, name):
    target = read_target(asked, AnswerOptions(questions=asked))
    sources = {"s": answers([0, 1, 2])}
    note, is_collapsed = compare_with_sources(target.classnames, answers([number] * 3), sources)
    assert is_collapsed
    assert note.startswith(f"most models answer {name} on 3 of 3 images")
