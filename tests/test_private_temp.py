import fcntl
import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from vlmsel.private_temp import UnsafeFolderError, file_lock, make_private, user_folder


def test_a_new_folder_is_closed_to_others(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        folder = make_private(tmp_path / "more" / "own")
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_private(folder) == folder


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, mode: int) -> None:
    folder = make_private(tmp_path / "own")
    folder.chmod(mode)
    with pytest.raises(UnsafeFolderError, match="may be written by others"):
        make_private(folder)


@pytest.mark.parametrize(("mode", "is_safe"), [(0o777, False), (0o775, False), (0o1777, True)])
def test_a_folder_that_others_may_replace_is_not_used(
    tmp_path: Path, mode: int, is_safe: bool
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    if is_safe:
        assert make_private(shared / "own").is_dir()
        return
    with pytest.raises(UnsafeFolderError, match="lies in a folder that others may write"):
        make_private(shared / "own")


@pytest.mark.parametrize("kind", ["folder", "file", "dangling", "itself"])
def test_a_link_is_not_used_wherever_it_leads(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_bytes(b"")
    link = tmp_path / "link"
    link.symlink_to(link if kind == "itself" else target)
    with pytest.raises(UnsafeFolderError, match="is a link"):
        make_private(link)
    assert target.exists() == (kind in ("folder", "file"))


def test_what_is_no_folder_or_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnsafeFolderError, match="is no folder"):
        make_private(tmp_path / "file")
    with pytest.raises(UnsafeFolderError, match="cannot be made"):
        make_private(tmp_path / "file" / "below")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafeFolderError, match="is no folder"):
        make_private(tmp_path / "pipe")


def test_somebody_elses_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_private(tmp_path / "own")
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(UnsafeFolderError, match="belongs to another user"):
        make_private(tmp_path / "own")


def test_users_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = user_folder("x")
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert user_folder("x") == tmp_path / "x-4711" != first

    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(UnsafeFolderError, match="set TMPDIR"):
        user_folder("x")


def test_a_lock_is_exclusive_bounded_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with file_lock(path, wait_s=0) as first, file_lock(path, wait_s=0.05) as second:
        assert (first, second) == (True, False)
    with file_lock(path, wait_s=0) as again:
        assert again


def test_a_lock_does_not_follow_links_and_needs_no_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with file_lock(tmp_path / "link", wait_s=0) as is_held:
        assert not is_held
    assert not (tmp_path / "target").exists()

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    start = time.monotonic()
    with file_lock(tmp_path / "lock", wait_s=60) as is_held:
        assert not is_held
    assert time.monotonic() - start < 30
