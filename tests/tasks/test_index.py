import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlmsel.errors import TaskError
from vlmsel.tasks import index
from vlmsel.tasks.found_image import unread_digest
from vlmsel.tasks.index import index_task
from vlmsel.tasks.index_cache import forget_sources, load_scans
from vlmsel.tasks.shards import plan_shards, read_shard
from vlmsel.tasks.task_catalog import TaskSpec, folder_task

MakePng = Callable[..., bytes]
MakeTar = Callable[..., Path]

PETS = ("cat", "dog")


def spec(images: Path | str, **more: object) -> TaskSpec:
    return TaskSpec(name="pets", images=str(images), **more)


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are really read."""
    read: list[str] = []
    real = index._scan

    def noting(source: index.SourceFile) -> object:
        read.append(source.name)
        return real(source)

    monkeypatch.setattr(index, "_scan", noting)
    return read


def test_a_folder(folder: Path) -> None:
    found = index_task(spec(folder, classnames=PETS))
    assert [(r.image_id, r.label) for r in found.images] == [
        ("cat/a.png", 0), ("cat/b.png", 0), ("cat/c.png", 0), ("dog/a.png", 1), ("dog/b.png", 1),
    ]  # fmt: skip
    for ref in found.images:
        assert ref.sha256 == hashlib.sha256(Path(ref.source).read_bytes()).hexdigest()
        assert ref.member is None
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_target_has_no_labels(folder: Path) -> None:
    assert {r.label for r in index_task(folder_task(folder)).images} == {None}


def test_ids_in_packed_files_start_with_the_file_where_there_is_a_pattern(
    tmp_path: Path, png: MakePng, make_tar: MakeTar
) -> None:
    for i in range(2):
        make_tar(tmp_path / f"s-{i}.tar", {"k.png": png(i), "k.cls": b"1"})
        pq.write_table(pa.table({"image": [png(i)], "label": [0]}), tmp_path / f"p-{i}.parquet")

    def ids(name: str) -> list[tuple[str, int | None]]:
        found = index_task(spec(tmp_path / name, classnames=PETS))
        return [(r.image_id, r.label) for r in found.images]

    assert ids("s-0.tar") == [("k", 1)]
    assert ids("s-*.tar") == ids("s-{0..1}.tar") == [("s-0.tar/k", 1), ("s-1.tar/k", 1)]
    assert ids("p-0.parquet") == [("0", 0)]
    assert ids("p-*.parquet") == [("p-0.parquet/0", 0), ("p-1.parquet/0", 0)]


def test_nothing_is_read_again_where_nothing_changed(folder: Path, scanned: list[str]) -> None:
    first = index_task(spec(folder))
    assert len(scanned) == 5
    scanned.clear()
    assert index_task(spec(folder)) == first
    assert scanned == []


def test_only_what_changed_is_read_again(folder: Path, png: MakePng, scanned: list[str]) -> None:
    index_task(spec(folder))
    scanned.clear()
    (folder / "cat" / "a.png").write_bytes(png(77))
    os.utime(folder / "cat" / "a.png", ns=(5, 5))
    (folder / "new.png").write_bytes(png(78))
    (folder / "dog" / "b.png").unlink()
    found = index_task(spec(folder))
    assert sorted(scanned) == ["cat/a.png", "new.png"]
    ids = {r.image_id: r.sha256 for r in found.images}
    assert ids["cat/a.png"] == hashlib.sha256(png(77)).hexdigest()
    assert "new.png" in ids
    assert "dog/b.png" not in ids


def test_labels_are_not_part_of_what_is_remembered(folder: Path, scanned: list[str]) -> None:
    index_task(spec(folder))
    scanned.clear()
    found = index_task(spec(folder, classnames=("dog", "cat")))
    assert scanned == []
    assert {r.image_id: r.label for r in found.images}["cat/a.png"] == 1


def test_a_bad_shard_is_an_error_or_listed(tmp_path: Path, png: MakePng, make_tar: MakeTar) -> None:
    make_tar(tmp_path / "s-0.tar", {"k.png": png(0)})
    (tmp_path / "s-1.tar").write_bytes(b"garbage")
    make_tar(tmp_path / "s-2.tar", {"../x.png": png(0)})
    task = spec(tmp_path / "s-*.tar")
    with pytest.raises(TaskError, match=r"'pets': .*s-1\.tar is no readable tar.*and 1 more files"):
        index_task(task)
    found = index_task(task, strict=False)
    assert [r.image_id for r in found.images] == ["s-0.tar/k"]
    assert [Path(bad.source).name for bad in found.bad] == ["s-1.tar", "s-2.tar"]
    assert "points outside" in found.bad[1].reason
    (tmp_path / "s-0.tar").unlink()
    with pytest.raises(TaskError, match="is no readable tar"):
        index_task(task, strict=False)


def test_shards_without_an_image_are_no_task(tmp_path: Path, make_tar: MakeTar) -> None:
    path = make_tar(tmp_path / "s.tar", {"a.txt": b"text"})
    for _ in range(2):
        with pytest.raises(TaskError, match=r"task 'pets': no image in .*s\.tar"):
            index_task(spec(path))


def test_impossible_labels_are_refused(tmp_path: Path, png: MakePng, make_tar: MakeTar) -> None:
    path = make_tar(tmp_path / "s.tar", {"a.png": png(0), "a.cls": b"2"})
    assert index_task(spec(path)).images[0].label == 2
    with pytest.raises(TaskError, match="label 2 has no class name"):
        index_task(spec(path, classnames=PETS))


def test_two_files_of_one_name_are_refused(tmp_path: Path, png: MakePng, make_tar: MakeTar) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_tar(tmp_path / name / "s.tar", {"k.png": png(0)})
    with pytest.raises(
        TaskError, match=r"a/s\.tar and .*b/s\.tar both give .* two of its files have one name"
    ):
        index_task(spec(tmp_path / "*" / "s.tar"))


def test_an_object_store(
    s3_options: str, put: Callable[[str, bytes], None], tmp_path: Path, png: MakePng,
    make_tar: MakeTar, scanned: list[str],
) -> None:  # fmt: skip
    members = {f"{i}.png": png(i) for i in range(5)} | {"3.cls": b"1"}
    put("index/s-0.tar", make_tar(tmp_path / "s.tar", members).read_bytes())
    task = spec(f"s3://images/index/s-*.tar?{s3_options}", classnames=PETS)
    first = index_task(task)
    assert [r.label for r in first.images] == [None, None, None, 1, None]
    assert index_task(task) == first
    assert scanned == ["s-0.tar"]


def test_names_that_are_no_utf8_are_indexed_under_an_escaped_id(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    for name in ("ok.png", "b\udcfcro.png"):
        Image.new("RGB", (8, 8)).save(folder / name, "PNG")
    cache = tmp_path / "cache"
    spec = folder_task(folder)
    assert spec.name == r"caf\xe9"
    first = index_task(spec, cache=cache)
    assert [ref.image_id for ref in first.images] == [r"b\xfcro.png", "ok.png"]
    assert [Path(ref.source).name for ref in first.images] == ["b\udcfcro.png", "ok.png"]
    assert index_task(spec, cache=cache) == first
    (note,) = cache.iterdir()
    assert len(load_scans(note)) == 2


def test_a_picture_of_the_same_size_and_time_is_read_again(
    folder: Path, png: MakePng, scanned: list[str]
) -> None:
    path = folder / "cat" / "a.png"
    before = path.stat()
    index_task(spec(folder))
    scanned.clear()
    (folder / "other").write_bytes(png(77))
    assert (folder / "other").stat().st_size == before.st_size
    os.utime(folder / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "other").replace(path)
    found = {ref.image_id: ref.sha256 for ref in index_task(spec(folder)).images}
    assert scanned == ["cat/a.png"]
    assert found["cat/a.png"] == hashlib.sha256(png(77)).hexdigest()


def test_a_source_that_was_forgotten_is_read_again_once(folder: Path, scanned: list[str]) -> None:
    index_task(spec(folder))
    scanned.clear()
    forget_sources([str(folder / "dog" / "b.png")])
    for _ in range(2):
        index_task(spec(folder))
    assert scanned == ["dog/b.png"]


def test_a_file_too_large_for_an_image_is_not_hashed(folder: Path) -> None:
    with (folder / "cat" / "big.png").open("wb") as file:
        file.truncate(12 << 30)
    found = {ref.image_id: ref for ref in index_task(spec(folder)).images}
    assert found["cat/big.png"].sha256 == unread_digest(12 << 30)
    shards = plan_shards(index_task(spec(folder)), n_images=None)
    read = {ref.image_id: data for shard in shards for ref, data in read_shard(shard)}
    assert "more than 67108864 bytes" in str(read["cat/big.png"])


def test_what_could_not_be_read_beside_good_images_is_listed(folder: Path) -> None:
    (folder / "cat" / "dead.png").symlink_to("nowhere.png")
    with pytest.raises(TaskError, match=r"dead\.png is a link that leads nowhere"):
        index_task(spec(folder))
    found = index_task(spec(folder), strict=False)
    assert len(found.images) == 5
    assert [bad.reason for bad in found.bad] == [
        f"{folder}/cat/dead.png is a link that leads nowhere"
    ]


def test_copies_are_counted(folder: Path, png: MakePng) -> None:
    assert index_task(spec(folder)).passed_over == ()
    (folder / "dog" / "copy.png").write_bytes(png(0))
    assert index_task(spec(folder)).passed_over == ("1 of 6 images are copies of others",)


def test_members_of_a_format_that_is_not_read_are_counted_and_remembered(
    tmp_path: Path, png: MakePng, make_tar: MakeTar, scanned: list[str]
) -> None:
    members = {"a.png": png(1), "b.heic": b"x", "c.HEIC": b"y", "d.svg": b"z", "d.json": b"{}"}
    shard = make_tar(tmp_path / "s.tar", members)
    for _ in range(2):
        found = index_task(spec(shard))
        assert [ref.image_id for ref in found.images] == ["a"]
        assert [phrase.partition(" member")[0] for phrase in found.passed_over] == [
            "2 .heic", "1 .svg",
        ]  # fmt: skip
    assert scanned == ["s.tar"]
    only = make_tar(tmp_path / "only.tar", {"b.heic": b"x"})
    with pytest.raises(TaskError, match=r"no image in .*only\.tar: 1 \.heic member"):
        index_task(spec(only))
