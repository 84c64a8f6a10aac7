import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks.locations import open_source
from vlmsel.tasks.sources import find_sources, kind_of


def names(images: str | Path) -> list[str]:
    return [file.name for file in find_sources(str(images)).files]


def test_a_folder_gives_its_images_and_nothing_else(folder: Path) -> None:
    (folder / "notes.txt").write_text("no image")
    (folder / "B.JPEG").write_bytes(b"")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.png").write_bytes(b"")
    expected = ["B.JPEG", "cat/a.png", "cat/b.png", "cat/c.png", "dog/a.png", "dog/b.png"]
    assert names(folder) == expected
    assert names(f"file://{folder}") == expected


def test_links_to_images_are_read_and_linked_folders_left_out(tmp_path: Path, folder: Path) -> None:
    (folder / "round").symlink_to(folder)
    (folder / "linked.png").symlink_to(folder / "cat" / "a.png")
    (folder / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    assert len(names(folder)) == 6
    assert "linked.png" in names(folder)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ([], "folder .*/place does not exist$"),
        (["place/"], "folder .*/place is empty$"),
        (["place/", "place/below/"], "folder .*/place is empty$"),
        (["place/", "place/a.txt"], "no image in folder .*/place: 1 files, none of them avif, bmp"),
        (["place/", "place/a.tar"], "it holds tar files: end `images` with /\\*\\.tar"),
        (["place/", "place/a.parquet"], "it holds parquet files: end `images` with /\\*\\.parquet"),
        (["place"], "/place is a file: images are a folder"),
    ],
)
def test_each_kind_of_nothing_has_its_own_message(
    tmp_path: Path, make: list[str], reason: str
) -> None:
    for name in make:
        path = tmp_path / name
        path.mkdir() if name.endswith("/") else path.write_bytes(b"")
    with pytest.raises(TaskError, match=reason):
        find_sources(str(tmp_path / "place"))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("s-{000..002}.tar", ["s-000.tar", "s-001.tar", "s-002.tar"]),
        ("s-{001,000}.tar", ["s-000.tar", "s-001.tar"]),
        ("s-*.tar", ["s-000.tar", "s-001.tar", "s-002.tar"]),
        ("s-00[12].tar", ["s-001.tar", "s-002.tar"]),
        ("*/t.tar", ["t.tar"]),
        ("s-001.tar", ["s-001.tar"]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    for i in range(3):
        (tmp_path / f"s-00{i}.tar").write_bytes(b"")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "t.tar").write_bytes(b"")
    (tmp_path / "s.txt").write_bytes(b"")
    found = find_sources(str(tmp_path / pattern))
    assert [f.name for f in found.files] == expected
    assert found.kind == "tar"
    assert found.pattern == (pattern != "s-001.tar")


def test_a_file_whose_name_looks_like_a_pattern_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a[1].tar").write_bytes(b"")
    assert names(tmp_path / "a[1].tar") == ["a[1].tar"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no.tar", r"file .*no\.tar does not exist"),
        ("s-{0..1}.tar", r"file .*s-0\.tar does not exist"),
        ("no-*.parquet", "no file matches"),
        ("gone/no-*.parquet", "no file matches"),
    ],
)
def test_files_that_are_not_there(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        find_sources(str(tmp_path / name))


def test_the_version_of_a_file_is_its_size_and_time(folder: Path) -> None:
    before = find_sources(str(folder)).files[0]
    os.utime(before.uri, ns=(1, 1))
    after = find_sources(str(folder)).files[0]
    assert (before.uri, before.size) == (after.uri, after.size)
    assert after.mtime_ns == 1


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("/a/b.tar", "tar"), ("/a/b.TGZ", "tar"), ("s3://b/x.tar.gz?region=x", "tar"),
        ("/a/b.parquet", "parquet"), ("/a/tar", "folder"), ("s3://b/x", "folder"),
    ],
)  # fmt: skip
def test_kinds(uri: str, kind: str) -> None:
    assert kind_of(uri) == kind


def test_object_stores_are_listed_and_read_like_folders(
    s3_options: str, put: Callable[[str, bytes], None]
) -> None:
    for key in ("pets/cat/a b.png", "pets/dog/100%.png", "pets/notes.txt", "pets/.x/h.png"):
        put(key, key.encode())
    put("shards/s-0.tar", b"0")
    put("shards/s-1.tar", b"1")
    found = find_sources(f"s3://images/pets?{s3_options}")
    assert [f.name for f in found.files] == ["cat/a b.png", "dog/100%.png"]
    for file in found.files:
        with open_source(file.uri) as stream:
            assert stream.read() == f"pets/{file.name}".encode()
    for pattern in ("s-*.tar", "s-{0..1}.tar"):
        assert names(f"s3://images/shards/{pattern}?{s3_options}") == ["s-0.tar", "s-1.tar"]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://images/nothing", "folder s3://images/nothing does not exist"),
        ("s3://images/nothing.tar", "file s3://images/nothing.tar does not exist"),
        ("s3://no-such-bucket/x-*.tar", "no file matches|cannot be listed"),
        ("s3://no-such-bucket/pets", "does not exist|cannot be"),
    ],
)
def test_what_is_missing_in_an_object_store_is_said_without_options(
    s3_options: str, uri: str, reason: str
) -> None:
    with pytest.raises(TaskError, match=reason) as caught:
        find_sources(f"{uri}?{s3_options}")
    assert "endpoint_override" not in str(caught.value)


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    for name in ("a.png", "b.JFIF", "c.j2k", "d.heic", "e.HEIC", "f.tar", "g.parquet", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "real").mkdir()
    (tmp_path / "cat").symlink_to("real")
    (tmp_path / "dead.png").symlink_to("nowhere")
    found = find_sources(str(tmp_path))
    assert [file.name for file in found.files] == ["a.png", "b.JFIF", "c.j2k"]
    assert found.passed_over == (
        "1 folder(s) that are links, which are not followed: cat",
        "1 tar file(s): end `images` with /*.tar to read those instead",
        "1 parquet file(s): end `images` with /*.parquet to read those instead",
        "2 .heic file(s), a format that is not read: convert them",
    )
    assert found.unread == ((f"{tmp_path}/dead.png", "is a link that leads nowhere"),)


def test_a_folder_of_linked_folders_says_so(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "cat").symlink_to(tmp_path / "real")
    with pytest.raises(TaskError, match=r"1 folder\(s\) that are links, .*: cat"):
        find_sources(str(tmp_path / "all"))


def test_a_plain_folder_passes_nothing_over(tmp_path: Path) -> None:
    for name in ("a.png", "notes.txt", ".hidden.heic"):
        (tmp_path / name).write_bytes(b"x")
    assert find_sources(str(tmp_path)).passed_over == ()


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.png").write_bytes(b"x")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_sources(str(tmp_path))
    assert found.unread == ((f"{tmp_path}/closed", "cannot be listed: Permission denied"),)
    (tmp_path / "a.png").unlink()
    with pytest.raises(TaskError, match="closed cannot be listed: Permission denied"):
        find_sources(str(tmp_path))


def test_a_folder_that_spark_wrote_says_how_to_read_it(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").mkdir()
    (tmp_path / "x.parquet" / "part-0.parquet").write_bytes(b"x")
    with pytest.raises(
        TaskError, match=r"x\.parquet is a folder: .* end `images` with /\*\.parquet"
    ):
        find_sources(str(tmp_path / "x.parquet"))
    assert names(tmp_path / "x.parquet" / "*.parquet") == ["part-0.parquet"]


def test_two_stars_are_any_folders(tmp_path: Path) -> None:
    for name in ("a.tar", "x/b.tar", "x/y/c.tar", "x/y/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert names(tmp_path / "**" / "*.tar") == ["a.tar", "b.tar", "c.tar"]
    assert names(tmp_path / "x" / "**" / "c.tar") == ["c.tar"]
    assert names(tmp_path / "*" / "*.tar") == ["b.tar"]


def test_a_pattern_of_pictures_says_what_patterns_are_for(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="does not exist; a pattern names tars or Parquet files"):
        find_sources(str(tmp_path / "*.png"))
