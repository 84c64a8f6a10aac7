"""A folder on a local or mounted disk: files appear whole, by rename, or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vlmsel.errors import StoreError

TEMPORARY_SUFFIX = ".tmp"

REASONS = {
    errno.ENOSPC: "the disk is full: free space and run again, nothing measured is lost",
    errno.EDQUOT: "the disk quota is used up: free space and run again, nothing measured is lost",
    errno.EROFS: "the file system is read-only: choose a store that can be written",
    errno.EACCES: "permission denied: choose a store that you may use, or change its permissions",
    errno.EPERM: "permission denied: choose a store that you may use, or change its permissions",
    errno.ENOTDIR: "a part of that path is a file, not a folder: choose another store",
    errno.ENAMETOOLONG: "a name is too long here: shorten the model's or task's name",
    errno.ENOENT: "it is not there",
}


@contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turns an `OSError` into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
        raise StoreError(f"cannot {action} {path}: {reason}") from error


@dataclass(frozen=True)
class LocalFolder:
    """See `vlmsel.store.filesystem.Folder`."""

    root: Path

    @property
    def address(self) -> str:
        """The absolute path."""
        return str(self.root)

    def write_atomic(self, path: str, data: bytes) -> None:
        """Temporary file in the same folder, fsync, rename, fsync of the folder."""
        target = self.root / path
        with explained("write", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            # A name of its own: two writers of one file never share a temporary.
            temporary = target.parent / f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
            try:
                with temporary.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(temporary, target)
            except OSError:
                with suppress(OSError):
                    temporary.unlink()
                raise
            _sync_folder(target.parent)

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        target = self.root / path
        with explained("read", target):
            return target.read_bytes()

    def files(self, prefix: str) -> list[str]:
        """Every file below `prefix`, by plain scandir."""
        found: list[str] = []
        folders = [prefix]
        while folders:
            folder = folders.pop()
            for name, is_folder in self._entries(folder):
                (folders if is_folder else found).append(f"{folder}/{name}")
        return found

    def names(self, path: str) -> list[str]:
        """Names of the files directly in `path`."""
        return [name for name, is_folder in self._entries(path) if not is_folder]

    def folders(self, path: str) -> list[str]:
        """Names of the folders directly in `path`."""
        return [name for name, is_folder in self._entries(path) if is_folder]

    def modified(self, path: str) -> float:
        """When the file was last written, in seconds since 1970."""
        with explained("read", self.root / path):
            return (self.root / path).stat().st_mtime

    def move(self, source: str, target: str) -> None:
        """Rename, making the target's folder."""
        with explained("move", self.root / source), suppress(FileNotFoundError):
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.root / source, self.root / target)

    def delete(self, path: str) -> None:
        """Unlink."""
        with explained("delete", self.root / path):
            (self.root / path).unlink(missing_ok=True)

    def _entries(self, path: str) -> list[tuple[str, bool]]:
        folder = f"{self.root}/{path}"
        with (
            explained("list", Path(folder)),
            suppress(FileNotFoundError),
            os.scandir(folder) as entries,
        ):
            # A dot leads the temporaries of a running or killed write, never an encoded name.
            return [(e.name, e.is_dir()) for e in entries if not e.name.startswith(".")]
        return []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
