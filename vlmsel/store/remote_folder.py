"""A prefix of an object store bucket: an object appears whole, by one PUT, or not at all."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pyarrow import fs

from vlmsel.errors import StoreError
from vlmsel.store.file_entry import FileEntry
from vlmsel.store.os_errors import MissingFileError, server_faults
from vlmsel.tasks.clouds import NO_SUCH_BUCKET


@dataclass(frozen=True)
class RemoteFolder:
    """See `vlmsel.store.filesystem.Folder`."""

    system: fs.FileSystem
    root: str
    address: str

    def write_atomic(self, path: str, data: bytes) -> None:
        """One write, so one PUT; above pyarrow's part size a multipart upload, atomic too."""
        with (
            server_faults("write", self._shown_path(path)),
            self.system.open_output_stream(self._full_path(path)) as stream,
        ):
            stream.write(data)

    def read(self, path: str) -> bytes:
        """The bytes of one object."""
        with (
            server_faults("read", self._shown_path(path)),
            self.system.open_input_stream(self._full_path(path)) as stream,
        ):
            return stream.read()

    def files(self, prefix: str) -> list[str]:
        """Every object below `prefix`."""
        return self._list(prefix, fs.FileType.File, recursive=True)

    def names(self, path: str) -> list[str]:
        """Names of the objects directly in `path`."""
        return [found.rpartition("/")[2] for found in self._list(path, fs.FileType.File)]

    def folders(self, path: str) -> list[str]:
        """Names of the folders directly in `path`."""
        return [found.rpartition("/")[2] for found in self._list(path, fs.FileType.Directory)]

    def entries(self, prefix: str) -> list[FileEntry]:
        """Every object below `prefix` with its size and age, from one listing."""
        return [
            FileEntry(self._relative_path(info), info.size or 0, _seconds(info))
            for info in self._infos(prefix, recursive=True)
            if info.type == fs.FileType.File
        ]

    def modified(self, path: str) -> float:
        """Return the time when the object was last written, in seconds since 1970."""
        with server_faults("read", self._shown_path(path)):
            info = self.system.get_file_info(self._full_path(path))
        if info.mtime is None:
            raise StoreError(f"cannot read {self._shown_path(path)}: it is not there")
        return info.mtime.timestamp()

    def move(self, source: str, target: str) -> None:
        """Copy, then delete: a crash between the two leaves both, never none."""
        with suppress(MissingFileError), server_faults("move", self._shown_path(source)):
            self.system.copy_file(self._full_path(source), self._full_path(target))
            self.system.delete_file(self._full_path(source))

    def delete(self, path: str) -> None:
        """Delete one object."""
        with suppress(MissingFileError), server_faults("delete", self._shown_path(path)):
            self.system.delete_file(self._full_path(path))

    def clean(self, folders: Sequence[str]) -> int:
        """Nothing: an object that was not written whole is not there."""
        return 0

    def _list(self, path: str, kind: fs.FileType, *, recursive: bool = False) -> list[str]:
        infos = self._infos(path, recursive=recursive)
        return [self._relative_path(info) for info in infos if info.type == kind]

    def _infos(self, path: str, *, recursive: bool) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._full_path(path), recursive=recursive, allow_not_found=True)
        with server_faults("list", self._shown_path(path)):
            infos = self.system.get_file_info(selector)
            bucket = self.root.partition("/")[0]
            # An absent bucket lists as empty: all would be measured before the first write fails.
            if not infos and self.system.get_file_info(bucket).type == fs.FileType.NotFound:
                raise StoreError(f"cannot list {self.address}: {NO_SUCH_BUCKET}")
        return infos

    def _relative_path(self, info: fs.FileInfo) -> str:
        return info.path[len(self.root) + 1 :]

    def _full_path(self, path: str) -> str:
        return f"{self.root}/{path}".rstrip("/")

    def _shown_path(self, path: str) -> str:
        return f"{self.address.rstrip('/')}/{path}"


def _seconds(info: fs.FileInfo) -> float:
    return info.mtime.timestamp() if info.mtime is not None else 0.0
