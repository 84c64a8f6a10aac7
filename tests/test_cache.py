import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from vlmsel.cache import cache_dir, file_sha256, write_atomically
from vlmsel.private_temp import UnsafeFolderError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("VLMSEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "vlmsel"


def test_a_relative_cache_folder_is_that_of_the_place_it_was_said_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLMSEL_CACHE", "here")
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VLMSEL_CACHE", "~/there")
    assert cache_dir() == tmp_path / "home" / "there"
    monkeypatch.delenv("VLMSEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == tmp_path / "home" / ".cache" / "vlmsel"


def test_without_a_home_the_cache_is_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VLMSEL_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    # What expanduser gives where neither HOME nor the list of users knows one.
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"vlmsel-cache-{os.getuid()}"
    assert cache_dir() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(UnsafeFolderError, match="written by others: set VLMSEL_CACHE"):
        cache_dir()


def test_a_home_that_cannot_be_written_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VLMSEL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert cache_dir() == tmp_path / f"vlmsel-cache-{os.getuid()}"


def test_a_checksum_is_sha256_and_follows_the_content(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    assert file_sha256(file) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"three")
    assert file_sha256(file) == hashlib.sha256(b"three").hexdigest()


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    file_sha256(file)
    # What is remembered is marked: only a reading could tell the truth.
    (note,) = (cache_dir() / "checksums").iterdir()
    entry = json.loads(note.read_text())
    note.write_text(json.dumps(entry | {"sha256": "f" * 64}))
    assert file_sha256(file) == "f" * 64


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"stamp": 1}'])
def test_a_damaged_note_is_ignored(tmp_path: Path, own_cache: Path, damage: bytes) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    file_sha256(file)
    (note,) = (own_cache / "checksums").iterdir()
    note.write_bytes(damage)
    assert file_sha256(file) == hashlib.sha256(b"one").hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "file" / "cache"))
    weights = tmp_path / "weights"
    weights.write_bytes(b"one")
    assert file_sha256(weights) == hashlib.sha256(b"one").hexdigest()


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "note"
    write_atomically(target, b"old")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_another_file_of_the_same_size_and_time_has_another_checksum(tmp_path: Path) -> None:
    path, other = tmp_path / "w.pt", tmp_path / "new.pt"
    path.write_bytes(b"old weights")
    before = path.stat()
    assert file_sha256(path) == hashlib.sha256(b"old weights").hexdigest()
    # As `cp -p`, rsync and archives do; in place, too.
    for data in (b"new weights", b"own weights"):
        if data.startswith(b"new"):
            other.write_bytes(data)
            os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
            other.replace(path)
        else:
            path.write_bytes(data)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (11, before.st_mtime_ns)
        assert file_sha256(path) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("text", ["[" * 50_000, '{"stamp": 1}', "[]", "null"], ids=range(4))
def test_a_damaged_note_costs_a_reading(tmp_path: Path, text: str) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"weights")
    file_sha256(path)
    (note,) = (cache_dir() / "checksums").glob("*.json")
    note.write_text(text)
    assert file_sha256(path) == hashlib.sha256(b"weights").hexdigest()
    entry = json.loads(note.read_text())
    note.write_text(json.dumps(entry | {"sha256": "../../x"}))
    assert file_sha256(path) == hashlib.sha256(b"weights").hexdigest()
