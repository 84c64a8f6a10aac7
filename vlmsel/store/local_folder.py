"""A folder on a local or mounted disk: files appear whole, by rename, or not at all."""

import errno
import os
import re
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vlmsel.store.file_entry import FileEntry
from vlmsel.store.os_errors import disk_faults
from vlmsel.store.owners import OWNER, is_dead, this_process

TEMPORARY = re.compile(rf"\.(?P<owner>{OWNER.pattern})\.[0-9a-f]{{16}}\.tmp")
# Answers of disks that have no way to sync a folder.
CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES})
# No write lasts so long: what is older was left by a process that was killed, wherever it ran.
DEAD_AFTER_S = 24 * 3600.0


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
            name = f".{this_process()}.{secrets.token_hex(8)}.tmp"
            temporary = target.parent / name
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

    def entries(self, prefix: str) -> list[FileEntry]:
        """Every file below `prefix` with its size and age; one that goes meanwhile is left out."""
        found: list[FileEntry] = []
        for path in self.files(prefix):
            with disk_faults("read", str(self.root / path)), suppress(FileNotFoundError):
                status = (self.root / path).stat()
                found.append(FileEntry(path, status.st_size, status.st_mtime))
        return found

    def modified(self, path: str) -> float:
        """Return the time when the file was last written, in seconds since 1970."""
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

    def clean(self, folders: Sequence[str]) -> int:
        """Delete the temporaries of killed writes; those of living processes stay."""
        n_deleted = 0
        for top in folders:
            for folder, _, names in os.walk(self.root / top):
                for name in names:
                    if found := TEMPORARY.fullmatch(name):
                        n_deleted += _delete_dead(f"{folder}/{name}", found["owner"])
        return n_deleted

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


def _delete_dead(path: str, owner: str) -> bool:
    # What is somebody else's, or has gone meanwhile, is no reason to stop a run.
    with suppress(OSError):
        if is_dead(owner) or time.time() - os.stat(path).st_mtime > DEAD_AFTER_S:
            os.unlink(path)
            return True
    return False


def _sync_folder(folder: Path) -> None:
    """Have a rename survive a loss of power, where the disk can (CIFS and some FUSE cannot)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # The file is there, under its name; only a loss of power now could still undo that.
        if error.errno not in CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
