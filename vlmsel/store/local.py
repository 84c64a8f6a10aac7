"""A folder on a local or mounted disk: files appear whole, by rename, or not at all."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vlmsel.store.faults import disk_faults

TEMPORARY_SUFFIX = ".tmp"


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
        with disk_faults("write", str(target)):
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
        with disk_faults("read", str(target)):
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
        with disk_faults("read", str(self.root / path)):
            return (self.root / path).stat().st_mtime

    def move(self, source: str, target: str) -> None:
        """Rename, making the target's folder."""
        with disk_faults("move", str(self.root / source)), suppress(FileNotFoundError):
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.root / source, self.root / target)

    def delete(self, path: str) -> None:
        """Unlink."""
        with disk_faults("delete", str(self.root / path)):
            (self.root / path).unlink(missing_ok=True)

    def _entries(self, path: str) -> list[tuple[str, bool]]:
        folder = f"{self.root}/{path}"
        with (
            disk_faults("list", folder),
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
