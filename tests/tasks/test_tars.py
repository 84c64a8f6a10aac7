import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.errors import TaskError
from vlmsel.tasks.decoder import MAX_IMAGE_BYTES
from vlmsel.tasks.tars import read_spans, read_tar, scan_tar, split_key

MakePng = Callable[..., bytes]
MakeTar = Callable[..., Path]


def test_a_shard_of_webdatasets_own_writer(tmp_path: Path, png: MakePng) -> None:
    # Within: it imports torch.
    from webdataset import TarWriter

    path = tmp_path / "s.tar"
    with TarWriter(str(path)) as writer:
        for i in range(3):
            writer.write({"__key__": f"dir/{i:04d}", "png": png(i), "cls": i, "json": {"a": 1}})
    found = scan_tar(str(path))
    assert [(f.key, f.member, f.label) for f in found] == [
        (f"dir/{i:04d}", f"dir/{i:04d}.png", i) for i in range(3)
    ]
    wanted = {found[0].member or "", found[2].member or ""}
    assert dict(read_tar(str(path), wanted)) == {
        "dir/0000.png": png(0),
        "dir/0002.png": png(2),
    }


@settings(deadline=None, max_examples=60)
@given(st.from_regex(r"([a-z.]{0,3}/)?[a-zA-Z0-9]{1,4}(\.[a-z]{1,3}){1,2}", fullmatch=True))
def test_keys_are_split_as_webdataset_does(name: str) -> None:
    from webdataset.tariterators import base_plus_ext

    key, extension = base_plus_ext(name)
    assert split_key(name) == (key, extension.casefold())


def test_labels_may_come_before_or_after_and_may_be_missing(
    tmp_path: Path, png: MakePng, make_tar: MakeTar
) -> None:
    members = {"a.cls": b"3\n", "a.png": png(1), "b.png": png(2), "b.cls": b"0", "c.jpg": png(3)}
    found = scan_tar(str(make_tar(tmp_path / "s.tar", members)))
    assert [(f.key, f.label) for f in found] == [("a", 3), ("b", 0), ("c", None)]


def test_two_images_of_one_key_are_two_images(
    tmp_path: Path, png: MakePng, make_tar: MakeTar
) -> None:
    members = {"a.left.png": png(1), "a.right.png": png(2), "a.cls": b"1", "a.txt": b"no"}
    found = scan_tar(str(make_tar(tmp_path / "s.tar", members)))
    assert [(f.key, f.label) for f in found] == [("a", 1), ("a.right.png", 1)]


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz"])
def test_compressed_shards(tmp_path: Path, png: MakePng, make_tar: MakeTar, suffix: str) -> None:
    path = make_tar(tmp_path / f"s{suffix}", {"a.png": png(1)}, "w:gz")
    (found,) = scan_tar(str(path))
    assert (found.key, found.offset, found.size) == ("a", None, None)


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "..\\x.png"])
def test_members_outside_the_archive_refuse_the_shard(
    tmp_path: Path, png: MakePng, make_tar: MakeTar, name: str
) -> None:
    path = make_tar(tmp_path / "s.tar", {"a.png": png(1), name: png(2), "z.png": png(3)})
    with pytest.raises(TaskError, match=r"s\.tar: member '.*' points outside the archive"):
        scan_tar(str(path))
    with pytest.raises(TaskError, match="points outside the archive"):
        list(read_tar(str(path), {"z.png"}))


def test_a_member_that_claims_to_be_huge_refuses_the_shard(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    info = tarfile.TarInfo("a.png")
    info.size = 8 << 40
    path.write_bytes(info.tobuf() + bytes(10_240))
    with pytest.raises(TaskError, match=r"'a\.png' has 8796093022208 bytes; shard refused"):
        scan_tar(str(path))


def test_links_devices_folders_and_hidden_files_are_left_out(
    tmp_path: Path, png: MakePng, make_tar: MakeTar
) -> None:
    path = make_tar(tmp_path / "s.tar", {"a.png": png(1), "._a.png": b"junk"})
    with tarfile.open(path, "a") as archive:
        for name, kind in (
            ("link.png", tarfile.SYMTYPE),
            ("hard.png", tarfile.LNKTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
            ("dir.png", tarfile.DIRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert [f.key for f in scan_tar(str(path))] == ["a"]


@pytest.mark.parametrize("data", [b"", b"no tar at all", b"\x1f\x8b broken gzip", b"x" * 2000])
def test_what_is_no_tar_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(data)
    with pytest.raises(TaskError, match=r"s\.tar is no readable tar") as caught:
        scan_tar(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_shard_cut_anywhere_is_no_whole_shard(
    tmp_path: Path, make_tar: MakeTar, mode: str
) -> None:
    members = {f"{i}.png": os.urandom(600) for i in range(3)}
    whole = make_tar(tmp_path / "whole.tar", members, mode).read_bytes()
    assert len(scan_tar(str(tmp_path / "whole.tar"))) == 3
    # Past the last member a plain tar is zeros only: nothing is lost by a cut there.
    end = 3 * (512 + 1024) if mode == "w" else len(whole) - 20
    cut = tmp_path / "cut.tar"
    for length in sorted({*range(1, end, 97), *range(512, end + 1, 512)}):
        cut.write_bytes(whole[:length])
        with pytest.raises(TaskError, match="no readable tar"):
            scan_tar(str(cut))


@pytest.mark.parametrize("label", [b"cat", b"", b"1.5"])
def test_a_label_that_is_no_number_is_named(
    tmp_path: Path, png: MakePng, make_tar: MakeTar, label: bytes
) -> None:
    path = make_tar(tmp_path / "s.tar", {"a.png": png(1), "a.cls": label})
    with pytest.raises(TaskError, match=r"s\.tar: label 'a\.cls' is not a number"):
        scan_tar(str(path))


def test_one_name_twice_is_refused(tmp_path: Path, png: MakePng) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        for _ in range(2):
            info = tarfile.TarInfo("a.png")
            info.size = len(png(1))
            archive.addfile(info, io.BytesIO(png(1)))
    with pytest.raises(TaskError, match=r"two members are named 'a\.png'"):
        scan_tar(str(path))


def test_members_that_are_too_large_are_not_read(
    tmp_path: Path, png: MakePng, make_tar: MakeTar
) -> None:
    path = make_tar(tmp_path / "s.tar", {"b.png": png(2)})
    rest = path.read_bytes()
    large = tarfile.TarInfo("a.png")
    large.size = MAX_IMAGE_BYTES + tarfile.BLOCKSIZE
    # Its bytes are a hole in the file.
    with path.open("wb") as file:
        file.write(large.tobuf())
        file.seek(large.size, os.SEEK_CUR)
        file.write(rest)
    spans = {f.member or "": (f.offset or 0, f.size or 0) for f in scan_tar(str(path))}
    for found in (
        dict(read_tar(str(path), {"a.png", "b.png"})),
        dict(read_spans(str(path), spans)),
    ):
        assert isinstance(found["a.png"], TaskError)
        assert "67109376 bytes, more than 67108864" in str(found["a.png"])
        assert found["b.png"] == png(2)


def raw_header(name: bytes, size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name.decode())
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [b"x", b"g", b"X", b"L", b"K"])
@pytest.mark.parametrize("first", [True, False])
def test_headers_that_claim_to_be_huge_are_not_read(
    tmp_path: Path, png: MakePng, make_tar: MakeTar, kind: bytes, first: bool
) -> None:
    path = make_tar(tmp_path / "x.tar", {"a.png": png(0)})
    member = b"" if first else path.read_bytes()[:1024]
    # The size is claimed by a sparse file: nothing is there to be read.
    with path.open("wb") as file:
        file.write(member + raw_header(b"long", 3 << 30, kind))
        file.truncate(4 << 30)
    with pytest.raises(TaskError, match=r"x\.tar is no readable tar: a header claims 3221225472"):
        scan_tar(str(path))


def test_long_names_of_people_are_read(tmp_path: Path, png: MakePng) -> None:
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "x.tar", "w", format=form) as archive:
            info = tarfile.TarInfo("é" * 3000 + ".png")
            info.size = len(png(0))
            archive.addfile(info, io.BytesIO(png(0)))
        assert len(scan_tar(str(tmp_path / "x.tar"))) == 1


def test_a_compressed_shard_that_unfolds_beyond_pictures_is_refused(
    tmp_path: Path, make_tar: MakeTar
) -> None:
    members = {f"{number}.png": bytes(50_000) for number in range(10)}
    path = str(make_tar(tmp_path / "x.tar.gz", members, "w:gz"))
    assert len(scan_tar(path)) == 10
    with pytest.raises(TaskError, match=r"x\.tar\.gz: its members unfold to over 300000 bytes"):
        scan_tar(path, max_unfolded_bytes=300_000)
    # A plain one of that size is on the disk.
    plain = str(make_tar(tmp_path / "y.tar", members))
    assert len(scan_tar(plain, max_unfolded_bytes=300_000)) == 10


def test_the_label_of_a_name_with_dots_is_found(
    tmp_path: Path, png: MakePng, make_tar: MakeTar
) -> None:
    members = {"clip v0.1.png": png(0), "clip v0.1.cls": b"1", "k.left.png": png(1), "k.cls": b"2"}
    found = scan_tar(str(make_tar(tmp_path / "x.tar", members)))
    assert {ref.member: ref.label for ref in found} == {"clip v0.1.png": 1, "k.left.png": 2}


@pytest.mark.parametrize("label", [b"9" * 60, b"2147483648"])
def test_a_label_beyond_every_list_of_classes_is_named(
    tmp_path: Path, png: MakePng, make_tar: MakeTar, label: bytes
) -> None:
    path = make_tar(tmp_path / "x.tar", {"a.png": png(0), "a.cls": label})
    with pytest.raises(TaskError, match=r"x\.tar: 'a\.cls': label .* is no class"):
        scan_tar(str(path))
