"""The labels on disk: what is written is read back, and only one process writes."""

import multiprocessing
import os
from pathlib import Path

import pytest
from PIL import Image

from vlmsel.errors import StoreError, TaskError
from vlmsel.labelling.label_book import LabelBook
from vlmsel.labelling.label_files import (
    LabelFiles,
    LabelLock,
    choose_path,
    format_labels,
    locate_images,
)
from vlmsel.tasks.index import index_task
from vlmsel.tasks.label_tables import read_labels
from vlmsel.tasks.task_catalog import folder_task

CLASSES = ("cat", """the "big" <b>dog</b>; 'x'""", "=1+1")
IMAGES = ("a.png", 'b "x".png', "c.png")


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in IMAGES:
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def spec(folder):
    return folder_task(folder).model_copy(update={"classnames": CLASSES})


@pytest.fixture
def files(folder, tmp_path) -> LabelFiles:
    return LabelFiles(tmp_path / "out" / "labels.csv", locate_images(str(folder)))


def read(files: LabelFiles, spec) -> LabelBook:
    return files.load(spec, index_task(spec), IMAGES, CLASSES, 2)


def test_labels_are_read_back_in_the_order_in_which_they_came(files, spec):
    book = LabelBook(IMAGES, CLASSES, 2).skip("a.png")
    book = book.label("c.png", CLASSES[1]).label('b "x".png', None)
    files.save(book)
    again = read(files, spec)
    assert list(again.labels.items()) == list(book.labels.items())
    assert dict(again.skipped) == {"a.png": 0}
    assert again.added == (CLASSES[2],)
    # The command reads the same file.
    index = index_task(spec)
    assert read_labels(files.path, spec, index, outside="none") == {"c.png": 1, 'b "x".png': -1}


def test_the_last_label_can_be_taken_back(files, spec):
    book = LabelBook(IMAGES, CLASSES, 2).label("a.png", "cat")
    files.save(book)
    files.save(book.undo())
    assert dict(read(files, spec).labels) == {}


def test_no_step_leaves_a_part_of_a_file(files, spec, monkeypatch):
    book = LabelBook(IMAGES, CLASSES, 2).label("a.png", "cat")
    files.save(book)
    before = files.path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="the disk is full"):
        files.save(book.label("c.png", "cat"))
    assert files.path.read_bytes() == before
    assert not list(files.path.parent.glob(".*.tmp"))


def test_labels_of_other_images_or_classes_are_refused(files, spec, tmp_path):
    files.save(LabelBook(IMAGES, CLASSES, 3).label("a.png", "cat"))
    other = LabelFiles(files.path, str(tmp_path / "elsewhere"))
    with pytest.raises(TaskError, match=r"are of the images in .*photos, not in .*elsewhere"):
        other.session()
    with pytest.raises(TaskError, match="no class is named 'cat'"):
        read(files, spec.model_copy(update={"classnames": ("x", "y")}))
    picked = LabelFiles(files.path, files.images, "picky")
    with pytest.raises(TaskError, match="begun in the order 'random'"):
        picked.session()
    files.path.with_name("labels.csv.session").write_text("{")
    with pytest.raises(TaskError, match="is damaged or of another version: delete it"):
        files.session()


def test_a_file_that_a_person_wrote_goes_on(files, spec):
    files.path.parent.mkdir()
    files.path.write_text("label,image\ncat,a.png\n")
    assert dict(read(files, spec).labels) == {"a.png": "cat"}


def test_a_picking_order_is_marked_in_the_file():
    book = LabelBook(IMAGES, CLASSES, 3).label("a.png", "cat")
    assert format_labels(book) == "image,label\na.png,cat\n"
    assert format_labels(book, "coda") == "image,label,picked_by\na.png,cat,coda\n"


def test_the_file_alone_says_in_which_order_it_was_picked(files, spec):
    picked = LabelFiles(files.path, files.images, "coda")
    picked.save(LabelBook(IMAGES, CLASSES, 3).label("a.png", "cat"))
    files.path.with_name("labels.csv.session").unlink()
    with pytest.raises(TaskError, match=r"picked in the order 'coda'.* give --order coda"):
        read(files, spec)
    assert dict(read(picked, spec).labels) == {"a.png": "cat"}


@pytest.mark.parametrize(
    "text", ["image,note,label\na.png,mine,cat\n", "image,label\na.png,cat,x\n"]
)
def test_a_file_with_columns_that_would_be_lost_is_refused(files, spec, text):
    files.path.parent.mkdir()
    files.path.write_text(text)
    with pytest.raises(TaskError, match=r"would be lost: (note|\(without a name\)); give another"):
        read(files, spec)


def test_the_default_place_is_beside_the_store_and_never_among_the_images(folder, tmp_path):
    store = str(tmp_path / "lab" / "store")
    path = choose_path(store, str(folder), "photos")
    assert path == tmp_path / "lab" / "labels" / "photos.csv"
    LabelFiles(path, str(folder)).save(LabelBook(IMAGES, CLASSES, 3))
    assert choose_path(store, str(folder), "photos") == path
    twin = choose_path(store, "/elsewhere/photos", "photos")
    assert twin != path
    assert twin.parent == path.parent
    with pytest.raises(TaskError, match="among the images: give --out"):
        choose_path(str(folder / ".vlmsel" / "store"), str(folder), "photos")


def hold(path: Path, held, done) -> None:
    with LabelLock(path) as lock:
        lock.name("http://127.0.0.1:1234/")
        held.set()
        done.wait(30)


def test_a_second_process_is_told_who_works_on_the_labels(tmp_path):
    path = tmp_path / "labels.csv"
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(path, held, done))
    other.start()
    assert held.wait(30)
    said = rf"worked on by process {other.pid} at http://127\.0\.0\.1:1234/"
    with pytest.raises(StoreError, match=said), LabelLock(path):
        pass
    # A lock dies with its process, however that ends.
    other.kill()
    other.join()
    with LabelLock(path):
        pass
