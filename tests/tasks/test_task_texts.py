"""Texts of a task: files of captions and synonyms, templates without one, and every mistake."""

import hashlib
import json

import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks.prompts import class_prompts
from vlmsel.tasks.task_catalog import TaskSpec
from vlmsel.tasks.task_texts import FROM_NAMES, FROM_TEMPLATES, SHARD_TEXTS, TaskTexts, task_texts

CAPTIONS = {"cat": ["a cat asleep", "two cats"], "dog": ["a dog runs"]}


def texts(tmp_path, *, names=("cat", "dog"), captions=None, synonyms=None, suffix=".yaml"):
    fields = {"name": "pets", "images": "x", "classnames": names, "templates": ("a {}", "the {}")}
    for what, content in (("captions", captions), ("synonyms", synonyms)):
        if content is not None:
            file = tmp_path / f"{what}{suffix}"
            file.write_text(content if isinstance(content, str) else json.dumps(content))
            fields[what] = str(file)
    spec = TaskSpec(**fields)
    return task_texts(spec, class_prompts(spec))


def of_role(found: TaskTexts, role: str) -> list[tuple[int, str]]:
    return [(text.class_number, text.text) for text in found.texts if text.role == role]


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_captions_and_synonyms_come_from_files(tmp_path, suffix):
    found = texts(tmp_path, captions=CAPTIONS, synonyms={"CAT": ["feline"]}, suffix=suffix)
    assert of_role(found, "prompt") == [(0, "a cat"), (0, "the cat"), (1, "a dog"), (1, "the dog")]
    assert of_role(found, "caption") == [(0, "a cat asleep"), (0, "two cats"), (1, "a dog runs")]
    assert of_role(found, "synonym") == [(0, "feline")]
    assert found.notes == ()


def test_without_files_templates_and_names_stand_for_them(tmp_path):
    found = texts(tmp_path)
    assert of_role(found, "caption") == []
    assert of_role(found, "synonym") == [(0, "cat"), (1, "dog")]
    assert found.notes == (FROM_TEMPLATES, FROM_NAMES)


def test_classes_of_one_name_are_one(tmp_path):
    found = texts(tmp_path, names=("cat", "dog", "cat"), captions=CAPTIONS)
    assert found.names == ("cat", "dog")
    assert found.class_numbers == (0, 1, 0)
    assert len(of_role(found, "prompt")) == 4


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ({"cat": ["x"]}, r"captions .* have none of class 'dog'; every class needs one"),
        ({**CAPTIONS, "dgo": ["x"]}, r"'dgo' is no class of the task; did you mean dog"),
        ({"tank": ["x"], "ship": ["y"]}, r"'tank' is no class of the task; the first is 'cat'"),
        ({**CAPTIONS, "Dog": ["x"]}, r"class 'Dog' comes twice"),
        ({"cat": [], "dog": ["x"]}, r"class 'cat' needs a list of one text or more"),
        ({"cat": "x", "dog": ["x"]}, r"class 'cat' needs a list"),
        ({"cat": [1], "dog": ["x"]}, r"class 'cat' needs a list"),
        ("[1, 2]", r"write a mapping of each class name to a list of texts"),
        ("a: [", r"cannot be read"),
    ],
)
def test_mistakes_are_one_line(tmp_path, captions, message):
    with pytest.raises(TaskError, match=message) as caught:
        texts(tmp_path, captions=captions)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path):
    spec = TaskSpec(
        name="pets", images="x", classnames=("cat", "dog"), captions=str(tmp_path / "no.yaml")
    )
    with pytest.raises(TaskError, match=r"captions .*no\.yaml cannot be read: No such file"):
        task_texts(spec, class_prompts(spec))


def test_captions_need_class_names_and_lie_beside_their_catalog(tmp_path):
    with pytest.raises(ValueError, match="`captions` need `classnames`"):
        TaskSpec(name="pets", images="x", captions="c.yaml")
    spec = TaskSpec(name="pets", images="x", classnames=("cat", "dog"), synonyms="s.yaml")
    assert spec.anchored(tmp_path).synonyms == str(tmp_path / "s.yaml")


def test_shards_name_every_text_by_its_words(tmp_path):
    found = texts(tmp_path)
    (shard,) = found.shards
    assert [ref.sha256 for ref in shard.images] == [
        hashlib.sha256(text.encode()).hexdigest() for text in shard.texts
    ]
    assert len({ref.image_id for ref in shard.images}) == len(shard.texts) == 6
    many = texts(tmp_path, names=[f"class {i}" for i in range(SHARD_TEXTS)])
    assert [len(shard.images) for shard in many.shards] == [SHARD_TEXTS] * 3
