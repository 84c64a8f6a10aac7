"""The user's cache folder, atomic small files in it, and checksums read once per file version."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from vlmsel.documents import read_json
from vlmsel.private_temp import UnsafeFolderError, make_private, user_folder

CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")


def cache_dir() -> Path:
    """`$VLMSEL_CACHE`, else `$XDG_CACHE_HOME/vlmsel`, else `~/.cache/vlmsel` (not created here).

    A user without a home that can be written, as in some containers, gets a private folder in the
    temporary directory.

    Raises:
        UnsafeFolderError: there is no such folder; it says to set VLMSEL_CACHE.
    """
    if configured := os.environ.get("VLMSEL_CACHE"):
        return Path(os.path.expanduser(configured)).absolute()
    # As its specification has it, a relative one is none.
    if (shared := Path(os.environ.get("XDG_CACHE_HOME", ""))).is_absolute():
        return shared / "vlmsel"
    usual = Path(os.path.expanduser("~")) / ".cache" / "vlmsel"
    if usual.is_absolute() and _is_writable(usual):
        return usual
    try:
        return make_private(user_folder("vlmsel-cache"))
    except UnsafeFolderError as error:
        raise UnsafeFolderError(f"no home, and {error}: set VLMSEL_CACHE to a folder") from None


def _is_writable(folder: Path) -> bool:
    """Return whether a folder can be written, or made."""
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that a reader sees the old file or the whole new one, never a part.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def file_sha256(path: Path) -> str:
    """Sha256 of a local file in hex, remembered by path and `file_stamp`.

    Raises:
        OSError: the file cannot be read.
    """
    path = path.resolve()
    stamp = file_stamp(path.stat())
    note = cache_dir() / "checksums" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
    if (known := _read_remembered(note, stamp)) is not None:
        return known
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    # A file written to while it was read must not be remembered under its new stamp.
    if file_stamp(path.stat()) == stamp:
        _remember(note, {"path": str(path), "stamp": stamp, "sha256": digest.hexdigest()})
    return digest.hexdigest()


def file_stamp(found: os.stat_result) -> list[int]:
    """Return the stamp of a local file's version: size, times of content and of inode, inode.

    A copy that keeps size and time (`cp -p`, rsync, fixed times) is another inode, or its inode was
    changed later.
    """
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _read_remembered(note: Path, stamp: list[int]) -> str | None:
    try:
        entry = read_json(note)
    except (OSError, ValueError):
        return None
    fits = isinstance(entry, dict) and entry.get("stamp") == stamp
    known = entry.get("sha256") if fits else None
    return known if isinstance(known, str) and SHA256.fullmatch(known) else None


def _remember(note: Path, entry: dict[str, object]) -> None:
    try:
        write_atomically(note, json.dumps(entry).encode())
    except OSError:
        # A read-only home costs time, not correctness: the checksum is computed again next time.
        return
