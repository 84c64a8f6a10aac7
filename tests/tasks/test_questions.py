"""Tasks of multiple-choice questions: layouts of common exports, and what is refused."""

import base64
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlmsel.errors import CatalogError, TaskError
from vlmsel.tasks.index import index_task
from vlmsel.tasks.label_tables import label_table
from vlmsel.tasks.question_rows import parse_row
from vlmsel.tasks.questions import ChoiceQuestion, TaskQuestions
from vlmsel.tasks.shards import Shard, plan_shards, read_shard
from vlmsel.tasks.task_catalog import TaskSpec, load_tasks

MMBENCH = {
    "index": 241, "question": "Which city?", "hint": None, "A": "Rome", "B": "Oslo", "C": "Bonn",
    "D": float("nan"), "answer": "B", "category": "places",
}  # fmt: skip
MMSTAR = {
    "index": 0,
    "question": "Where is it?\nOptions: A: In, Bath, B: On a hill., C: Under",
    "answer": "C",
}
SOLID = ChoiceQuestion("Which is a solid?", ("ice", "air"), "?")
DIGITS = {"question": "?", "options": ["3", "2"]}
HALVES = {"question": "?", "options": [1.5, 2.5, 3.5]}
TRUTHS = {"question": "?", "options": [True, False]}
SCIENCE_QA = {"question": "Which is a solid?", "choices": ["ice", "air"], "answer": 0, "hint": "?"}


@pytest.mark.parametrize(
    ("row", "question", "label"),
    [
        (MMBENCH, ChoiceQuestion("Which city?", ("Rome", "Oslo", "Bonn")), 1),
        (MMSTAR, ChoiceQuestion("Where is it?", ("In, Bath", "On a hill.", "Under")), 2),
        (SCIENCE_QA, SOLID, 0),
        (SCIENCE_QA | {"answer": "air"}, SOLID, 1),
        (SCIENCE_QA | {"answer": None}, SOLID, None),
        ({"question": "?", "options": ["c", "A"], "answer": "A"}, None, None),
        (DIGITS | {"answer": "2"}, ChoiceQuestion("?", ("3", "2")), 1),
        (DIGITS | {"answer": 1}, ChoiceQuestion("?", ("3", "2")), 1),
        (DIGITS | {"answer": 1.0}, ChoiceQuestion("?", ("3", "2")), 1),
        (HALVES | {"answer": 2.5}, ChoiceQuestion("?", ("1.5", "2.5", "3.5")), 1),
        (TRUTHS | {"answer": False}, ChoiceQuestion("?", ("True", "False")), 1),
    ],
)  # fmt: skip
def test_rows_of_common_exports(row, question, label):
    if question is None:
        with pytest.raises(TaskError, match="the letter of one option and the text of another"):
            parse_row("x", 0, row)
        return
    found = parse_row("x", 0, row)
    assert (found.question, found.label) == (question, label)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"options": ["a", "b"]}, "it has no question"),
        ({"question": "Describe it.", "answer": "a dog"}, "no options, and open answers are not"),
        (SCIENCE_QA | {"image": ["x", "y"]}, "'image' holds a list of pictures"),
        (SCIENCE_QA | {"image_1": "x", "image_2": "y"}, "'image_1' holds a list of pictures"),
        (SCIENCE_QA | {"answer": "steam"}, "answer 'steam' is none of its 2 options"),
        (SCIENCE_QA | {"answer": 2}, "answer '2' is none of its 2 options"),
        (SCIENCE_QA | {"answer": 0.5}, "answer '0.5' is none of its 2 options"),
        (SCIENCE_QA | {"answer": True}, "answer 'True' is none of its 2 options"),
        (SCIENCE_QA | {"answer": "\u00b2"}, "answer '\u00b2' is none of its 2 options"),
        (SCIENCE_QA | {"answer": [0, 1]}, "it has several answers"),
        (SCIENCE_QA | {"choices": ["ice"]}, "it has 1 option"),
        (SCIENCE_QA | {"choices": ["ice", "ice"]}, "option 'ice' comes twice"),
        (SCIENCE_QA | {"choices": ["ice", " "]}, "option B is empty"),
        (SCIENCE_QA | {"choices": "ice or air"}, "must hold a list of texts"),
        ({"question": "?", "A": "x", "C": "y", "answer": "A"}, "option B is missing before later"),
    ],
)
def test_rows_that_are_no_question_are_refused(row, reason):
    with pytest.raises(TaskError, match=f"^file, row 3: .*{reason}"):
        parse_row("file, row 3", 3, row)


def rows_of(png, n=4):
    return [
        {"id": f"q{i}", "question": f"What is {i}?", "options": ["one", "two", "six"][: 2 + i % 2],
         "answer": i % 2}
        for i in range(n)
    ]  # fmt: skip


def write_rows(path: Path, rows: list[dict]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize("layout", ["struct", "base64", "jsonl", "folder", "folder-jsonl"])
def test_pictures_come_with_the_rows_or_from_a_folder(tmp_path, png, layout):
    rows, images = rows_of(png), {}
    for number, row in enumerate(rows):
        data = png(number // 2)
        text = base64.b64encode(data).decode()
        held = {"struct": {"bytes": data, "path": None}, "base64": text, "jsonl": text}
        row["image"] = held.get(layout, f"{number // 2}.png")
        if "folder" in layout:
            (tmp_path / "pictures").mkdir(exist_ok=True)
            (tmp_path / "pictures" / f"{number // 2}.png").write_bytes(data)
            images = {"images": "pictures"}
    suffix = "jsonl" if "jsonl" in layout else "parquet"
    write_rows(tmp_path / f"q.{suffix}", rows)
    entry = {"name": "q", "questions": f"q.{suffix}", "answers": "words", **images}
    (tmp_path / "tasks.yaml").write_text(json.dumps({"tasks": [entry]}))
    (spec,) = load_tasks(tmp_path / "tasks.yaml").tasks
    index = index_task(spec)
    assert [(ref.image_id, ref.label) for ref in index.images] == [
        ("q0", 0), ("q1", 1), ("q2", 0), ("q3", 1),
    ]  # fmt: skip
    assert index.questions is not None
    assert index.questions.n_options == 3
    read = dict(read_shard(Shard("q", 0, index.images)))
    assert [read[ref] for ref in index.images] == [png(0), png(0), png(1), png(1)]
    assert index_task(spec) == index


def questioned(tmp_path: Path, rows: list[dict], **more: str) -> TaskSpec:
    path = write_rows(tmp_path / "q.parquet", rows)
    return TaskSpec.model_validate({"name": "q", "questions": str(path), **more})


def with_pictures(png, n=4):
    return [row | {"image": {"bytes": png(i)}} for i, row in enumerate(rows_of(png, n))]


def test_labels_are_in_no_key_and_other_questions_are(tmp_path, png):
    rows = with_pictures(png)
    first = index_task(questioned(tmp_path, rows))
    assert first.questions is not None
    moved = [row | {"answer": 1 - row["answer"]} for row in rows]
    again = index_task(questioned(tmp_path, moved))
    assert again.questions == first.questions
    assert [ref.label for ref in again.images] == [1, 0, 1, 0]
    rows[3]["question"] = "What else?"
    other = index_task(questioned(tmp_path, rows)).questions
    assert other is not None
    assert other.digest != first.questions.digest
    assert other.digest_of(["q0", "q1"]) == first.questions.digest_of(["q0", "q1"])
    words = index_task(questioned(tmp_path, rows, answers="words")).questions
    assert words is not None
    assert words.digest != other.digest


def test_a_labels_file_names_options_by_letters(tmp_path, png):
    (tmp_path / "labels.csv").write_text("image,label\nq0,B\n")
    spec = questioned(tmp_path, with_pictures(png), labels=str(tmp_path / "labels.csv"))
    found = dict(label_table(spec, index_task(spec)).iter_rows())
    assert found == {"q0": 1, "q1": 1, "q2": 0, "q3": 1}
    # Options that other questions have, or none.
    for letter in "CZ":
        (tmp_path / "labels.csv").write_text(f"image,label\nq1,C\nq0,{letter}\n")
        message = f"line 3: the question has no option '{letter}'; its options are A to B$"
        with pytest.raises(TaskError, match=message):
            label_table(spec, index_task(spec))


def test_questions_without_a_picture_are_passed_over(tmp_path, png):
    rows = with_pictures(png)
    rows[2]["image"] = None
    index = index_task(questioned(tmp_path, rows))
    assert [ref.image_id for ref in index.images] == ["q0", "q1", "q3"]
    assert index.passed_over == ("1 question(s) without an image; the first: q2",)
    assert len(plan_shards(index, n_images=None)[0].images) == 3
    rows = [row | {"image": {"bytes": b""}} for row in rows]
    with pytest.raises(TaskError, match="none of its 4 questions has an image; the first: q0"):
        index_task(questioned(tmp_path, rows))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "same"}, "two of its questions have the id 'same'"),
        ({"image": "x.png"}, "image 'x.png' is no base64; if it is a path, name the folder"),
        ({"question": None}, "row 0: it has no question"),
    ],
)
def test_files_that_hold_no_questions(tmp_path, png, change, reason):
    rows = [row | change for row in with_pictures(png)]
    with pytest.raises(TaskError, match=reason) as caught:
        index_task(questioned(tmp_path, rows))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 2: no JSON"),
        ("[1]", "line 2: no JSON object"),
        ('{"question": "?", "options": ["a", "b"], "image": 7}', "must be one picture"),
        ('{"question": "?", "options": ["a", "b"], "image": "a.png"}', "is no base64; if it is a"),
    ],
)
def test_lines_that_hold_no_questions(tmp_path, png, line, reason):
    good = {"question": "?", "options": ["a", "b"], "image": base64.b64encode(png()).decode()}
    (tmp_path / "q.jsonl").write_text(f"{json.dumps(good)}\n{line}\n")
    with pytest.raises(TaskError, match=reason):
        index_task(TaskSpec.model_validate({"name": "q", "questions": str(tmp_path / "q.jsonl")}))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("questions: q.jsonl, classnames: [a, b]", "`questions` take the place of class names"),
        ("images: x, answers: words", "`answers` need `questions`"),
        ("questions: q.jsonl, answers: free", "'answers'"),
    ],
)
def test_catalog_entries_that_contradict_themselves(tmp_path, entry, reason):
    (tmp_path / "tasks.yaml").write_text(f"tasks: [{{name: q, {entry}}}]")
    with pytest.raises(CatalogError, match=reason):
        load_tasks(tmp_path / "tasks.yaml")


def test_the_prompt_is_that_of_vlmevalkit():
    question = ChoiceQuestion("Which city?", ("Rome", "Oslo"), "It is cold.")
    letters = TaskQuestions({"q": question}, "letters", 2)
    assert letters.prompt(question) == (
        "Hint: It is cold.\nQuestion: Which city?\nOptions:\nA. Rome\nB. Oslo\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert letters.choices(question) == ("A", "B")
    words = TaskQuestions({"q": question}, "words", 2)
    assert (words.prompt(question), words.choices(question)) == ("Which city?", ("Rome", "Oslo"))
