"""A target of multiple-choice questions: its options are classes, its answers labels."""

import base64
import io
import json

import pytest
from PIL import Image

from vlmsel.api.answer import AnswerOptions, read_target
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
