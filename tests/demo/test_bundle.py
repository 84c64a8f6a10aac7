"""The files of the demo tasks: the same bytes every time, readable by webdataset."""

import io
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_expander

from vlmsel.demo import bundle
from vlmsel.demo.demo_tasks import write_demo_tasks, write_sample_folder
from vlmsel.demo.families import demo_task, demo_tasks, draw

N = 10


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_tasks(tmp_path_factory.mktemp("tasks"), n_images=N)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_folders_hold_the_same_bytes(catalog: Path, tmp_path: Path):
    write_demo_tasks(tmp_path / "again", n_images=N)
    assert contents(tmp_path / "again") == contents(catalog.parent)


def test_nothing_is_written_twice(catalog: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bundle, "replace_file", lambda *_: pytest.fail("wrote again"))
    assert write_demo_tasks(catalog.parent, n_images=N) == catalog


@pytest.mark.parametrize("harm", ["changed", "missing", "other count", "stamp cut"])
def test_wrong_files_are_put_right(catalog: Path, tmp_path: Path, harm: str):
    folder = tmp_path / "tasks"
    shutil.copytree(catalog.parent, folder)
    tar = folder / "faces-a.tar"
    if harm == "changed":
        tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    if harm == "other count":
        write_demo_tasks(folder, n_images=3)
    if harm == "missing":
        tar.unlink()
    if harm == "stamp cut":
        (folder / "demo-tasks.json").write_text("{")
    write_demo_tasks(folder, n_images=N)
    assert contents(folder) == contents(catalog.parent)


def test_the_catalog_lists_every_task(catalog: Path):
    listed = yaml.safe_load(catalog.read_text())["tasks"]
    assert [entry["name"] for entry in listed] == [task.name for task in demo_tasks()]
    for entry, task in zip(listed, demo_tasks(), strict=True):
        assert (catalog.parent / entry["images"]).is_file()
        assert tuple(entry["classnames"]) == task.classnames
        assert tuple(entry["templates"]) == task.templates


def test_webdataset_reads_what_was_drawn(catalog: Path):
    task = demo_task("land-b")
    with (catalog.parent / "land-b.tar").open("rb") as stream:
        files = tar_file_expander([{"url": "land-b.tar", "stream": stream}])
        samples = list(group_by_keys(files))
    images, labels = draw(task, split="test", n=N, seed=bundle.TEST_SEED)
    assert [sample["__key__"] for sample in samples] == [f"{i:06d}" for i in range(N)]
    assert [int(sample["cls"]) for sample in samples] == labels
    for sample, image in zip(samples, images, strict=True):
        assert Image.open(io.BytesIO(sample["png"])).tobytes() == image.tobytes()


def test_sample_folder_holds_new_pictures(tmp_path: Path):
    task = demo_task("signs-a")
    folder = write_sample_folder(tmp_path / "photos", task, n=6)
    found = sorted(folder.iterdir())
    assert [path.name for path in found] == [f"{i:03d}.png" for i in range(6)]
    trained_on = {image.tobytes() for image in draw(task, split="train", n=50, seed=0)[0]}
    assert not {Image.open(path).tobytes() for path in found} & trained_on
