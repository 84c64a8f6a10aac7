"""Folders at known names in shared places (the temporary directory), which may be somebody else's.

Anybody may make a folder or a link of that name first. So a folder is used only if it is the user's
own, no link, and closed to others, and if others cannot put another one in its place.
"""

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vlmsel.errors import VlmselError

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
POLL_S = (0.01, 0.5)


class UnsafeFolderError(VlmselError):
    """A folder in a shared place is not safe to use."""


def user_folder(name: str) -> Path:
    """Path of `name` for this user in the temporary directory; by number, as not all have names.

    Raises:
        UnsafeFolderError: there is no temporary directory.
    """
    try:
        return Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
    except OSError as error:
        raise UnsafeFolderError(f"no temporary folder: set TMPDIR ({error.strerror})") from None


def make_private(folder: Path) -> Path:
    """Make a folder that only this user may write, or check that the existing one is so.

    Raises:
        UnsafeFolderError: it is a link, somebody else's, open to others, or cannot be made.
    """
    try:
        os.makedirs(folder.parent, mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        folder_stat, parent_stat = os.lstat(folder), os.stat(folder.parent)
    except OSError as error:
        raise UnsafeFolderError(f"{folder} cannot be made: {error.strerror}") from None
    if reason := _explain_unsafe(folder_stat, parent_stat):
        raise UnsafeFolderError(f"{folder} {reason}")
    return folder


def _explain_unsafe(folder_stat: os.stat_result, parent_stat: os.stat_result) -> str | None:
    if stat.S_ISLNK(folder_stat.st_mode):
        return "is a link"
    if not stat.S_ISDIR(folder_stat.st_mode):
        return "is no folder"
    if folder_stat.st_uid != os.getuid():
        return "belongs to another user"
    if folder_stat.st_mode & OTHERS_WRITE:
        return "may be written by others"
    # In a sticky folder, as /tmp is, only the owner can move it away.
    if parent_stat.st_mode & OTHERS_WRITE and not parent_stat.st_mode & stat.S_ISVTX:
        return "lies in a folder that others may write"
    return None


@contextmanager
def file_lock(path: Path, *, wait_s: float) -> Iterator[bool]:
    """Hold an advisory lock that dies with its process; gives whether it is held.

    Args:
        path: the lock's file, made when missing, in a folder from `make_private`.
        wait_s: how long to wait for another holder, which may hang.
    """
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
    except OSError:
        yield False
        return
    try:
        yield _lock(handle, wait_s)
    finally:
        os.close(handle)


def _lock(handle: int, wait_s: float) -> bool:
    deadline, (pause, longest) = time.monotonic() + wait_s, POLL_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        except OSError:
            # A file system without locks.
            return False
        time.sleep(pause)
        pause = min(2 * pause, longest)
