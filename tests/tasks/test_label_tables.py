"""Labels as a table: what the images say, mended by a file, and every way a file can be bad."""

from pathlib import Path

import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index import TaskIndex, index_task
from vlmsel.tasks.label_tables import (
    MANY_IMAGES,
    MAX_FILE_BYTES,
    NO_CLASS,
    SCHEMA,
    label_table,
    read_class_names,
)
from vlmsel.tasks.prompts import class_prompts
from vlmsel.tasks.task_catalog import TaskSpec, load_tasks

CLASSES = ("cat", "guinea_pig", "dog")


@pytest.fixture
def flat(tmp_path: Path, png) -> Path:
    """Three images whose place says nothing."""
    for number, name in enumerate(("a", "b", "c d")):
        path = tmp_path / "flat" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(number))
    return tmp_path / "flat"


@pytest.fixture
def read(tmp_path: Path, flat: Path):
    """The labels that a file of this text (or these bytes) gives to the three images."""

    def rows(text: str | bytes, **fields: object) -> list[tuple[str, int]]:
        path = tmp_path / "labels.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        task = {"name": "pets", "images": str(flat), "classnames": CLASSES} | fields
        spec = TaskSpec(**task, labels=str(path))
        return label_table(spec, index_task(spec)).rows()

    return rows


def test_without_a_file_the_images_say_it(folder: Path, flat: Path) -> None:
    spec = TaskSpec(name="t", images=str(folder), classnames=("dog", "cat"))
    assert label_table(spec, index_task(spec)).rows() == [
        *(("cat/a.png", 1), ("cat/b.png", 1), ("cat/c.png", 1)),
        *(("dog/a.png", 0), ("dog/b.png", 0)),
    ]
    bare = TaskSpec(name="t", images=str(flat), classnames=CLASSES)
    found = label_table(bare, index_task(bare))
    assert found.is_empty()
    assert dict(found.schema) == SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        "image,label\na.png,dog\nc d.png,Guinea Pig\n",
        "image,label\r\na.png,dog\r\nc d.png,Guinea Pig\r\n",
        "\ufeffimage,label\na.png,dog\nc d.png,guinea_pig",
        'label,note,image\n" DOG ","by, hand",a.png\nguinea pig,,c d.png\n\n',
    ],
    ids=["plain", "windows", "byte order mark", "other columns"],
)
def test_a_file_gives_labels_to_images_that_have_none(read, text: str) -> None:
    assert read(text) == [("a.png", 2), ("c d.png", 1)]


def test_a_file_wins_over_folders_and_the_others_keep_theirs(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,label\ncat/b.png,dog\n")
    spec = TaskSpec(name="t", images=str(folder), classnames=("cat", "dog"), labels=str(path))
    assert [label for _, label in label_table(spec, index_task(spec)).rows()] == [0, 1, 0, 1, 1]


def test_a_file_changes_nothing_that_enters_a_key(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,label\ncat/b.png,dog\n")
    spec = TaskSpec(name="t", images=str(folder), classnames=("cat", "dog"))
    mended = spec.model_copy(update={"labels": str(path)})
    assert index_task(mended) == index_task(spec)
    assert class_prompts(mended).digest == class_prompts(spec).digest


def test_class_names_in_another_form_of_unicode_agree(read) -> None:
    assert read("image,label\na.png,cafe\u0301\n", classnames=("x", "caf\u00e9")) == [("a.png", 1)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "",
            r"labels .*labels\.csv: no column image and label; the first line must be",
        ),
        ("\n\n", "no column image and label"),
        ("image\na.png\n", r"no column label; the first line must be image,label"),
        ("a.png,dog\n", "no column image and label"),
        ("image;label\na.png;dog\n", "no column image and label"),
        ("image,label\n", r"task 'pets': .*labels\.csv holds no labels"),
        ("image,label\na.png\n", "line 2: a row needs an image and a label"),
        ("image,label\na.png,\n", "line 2: a row needs an image and a label"),
        ("image,label\na.png,  \n", "line 2: a row needs an image and a label"),
        ("image,label\n\n,dog\n", "line 3: a row needs an image and a label"),
        (
            "image,label\nA.png,dog\n",
            r"task 'pets': .*labels\.csv, line 2: the task has no image 'A\.png'; did you mean a",
        ),
        ("image,label\nzzzzzzzz,dog\n", r"line 2: the task has no image 'zzzzzzzz'$"),
        (
            "image,label\na.png,dog\na.png,dog\n",
            r"line 3: image 'a\.png' comes twice; keep one row",
        ),
        ("image,label\na.png,dgo\n", "line 2: no class is named 'dgo'; did you mean dog"),
        ("image,label\na.png,zzz\n", "line 2: no class is named 'zzz'; the first is 'cat'"),
        ("image,label\na.png,2\n", "line 2: no class is named '2'"),
        (b"image,label\na.png,caf\xe9\n", "not UTF-8 text; save it as CSV UTF-8"),
        ("image,label\na.png,dog\n".encode("utf-16"), "not UTF-8 text"),
        (b"\x1f\x8b\x08\x00", "not UTF-8 text"),
        ('image,label\n"a.png,dog\n', "not a CSV file: unexpected end of data"),
        ('image,label\n"a.png"x,dog\n', "not a CSV file"),
        ("image,label\n" + "x" * 200_000 + ",dog\n", "not a CSV file: field larger"),
    ],
)
def test_a_bad_file_is_named_with_the_line(read, text: str | bytes, reason: str) -> None:
    with pytest.raises(TaskError, match=reason) as caught:
        read(text)
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_alike_class_names_cannot_be_labels(read) -> None:
    with pytest.raises(
        TaskError, match="line 2: several classes are named 'a b', so it is no label"
    ):
        read("image,label\na.png,a b\n", classnames=("a b", "A_b", "c"))
    # As ImageNet's list does; the other names are labels.
    assert read("image,label\na.png,c\n", classnames=("a b", "A_b", "c"))


def test_labels_need_class_names(read) -> None:
    with pytest.raises((TaskError, ValueError), match=r"class names|classnames"):
        read("image,label\na.png,dog\n", classnames=None)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("none.csv", "labels .*: No such "),
        ("flat", "labels .*: Is a "),
        ("flat/a.png/labels.csv", "labels .*: Not a "),
        ("s3://bucket/x.csv", "task 't': labels .* is an address, and a local file is meant"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, flat: Path, place: str, why: str
) -> None:
    path = place if "://" in place else str(tmp_path / place)
    spec = TaskSpec(name="t", images=str(flat), classnames=CLASSES, labels=path)
    with pytest.raises(TaskError, match=why):
        label_table(spec, index_task(spec))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, flat: Path) -> None:
    path = tmp_path / "labels.csv"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    spec = TaskSpec(name="pets", images=str(flat), classnames=CLASSES, labels=str(path))
    with pytest.raises(TaskError, match="more than 268435456 bytes"):
        label_table(spec, index_task(spec))


def test_of_very_many_images_the_nearest_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,label\nA.png,dog\n")
    spec = TaskSpec(name="pets", images=str(tmp_path), classnames=CLASSES, labels=str(path))
    names = ("a.png", *(f"{number}.png" for number in range(MANY_IMAGES)))
    images = tuple(ImageRef(name, "0" * 64, name, None, None) for name in names)
    with pytest.raises(TaskError, match=r"no image 'A\.png'; did you mean"):
        label_table(spec, TaskIndex("pets", images[:2]))
    with pytest.raises(TaskError, match=r"no image 'A\.png'$"):
        label_table(spec, TaskIndex("pets", images))


def test_a_catalog_names_its_file_relative_to_itself(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(
        "tasks: [{name: t, images: pets, classnames: [cat, dog], labels: sub/labels.csv}]"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "labels.csv").write_text("image,label\ncat/a.png,dog\n")
    (spec,) = load_tasks(tmp_path / "tasks.yaml").tasks
    assert spec.labels == str(tmp_path.resolve() / "sub" / "labels.csv")
    index: TaskIndex = index_task(spec)
    assert label_table(spec, index)["label"].to_list() == [1, 0, 0, 1, 1]


def test_an_image_of_none_of_the_classes_is_of_no_class(tmp_path: Path, flat: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,label\na.png,cat\nb.png,None\nc d.png,dog\n")
    spec = TaskSpec(name="pets", images=str(flat))
    names = read_class_names(path, spec, index_task(spec), outside=NO_CLASS)
    assert names == {"a.png": "cat", "c d.png": "dog"}
