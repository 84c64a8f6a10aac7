"""One way to local folders and object stores: a path or an address becomes a `Folder`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vlmsel.addresses import absolute_address, is_address
from vlmsel.errors import StoreError
from vlmsel.store.file_entry import FileEntry
from vlmsel.store.local_folder import LocalFolder
from vlmsel.store.remote_folder import RemoteFolder
from vlmsel.tasks.buckets import open_bucket


class Folder(Protocol):
    """A root; files are named by relative paths with ``/``. Every failure is a `StoreError`."""

    @property
    def address(self) -> str:
        """Address to be shown to people: no credentials, no query."""
        ...

    def write_atomic(self, path: str, data: bytes) -> None:
        """Write the whole file or nothing; replaces a file of that name."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        ...

    def files(self, prefix: str) -> list[str]:
        """Paths of every file below `prefix`, relative to this root; none if it is not there."""
        ...

    def names(self, path: str) -> list[str]:
        """Names of the files directly in `path`; none if it is not there."""
        ...

    def folders(self, path: str) -> list[str]:
        """Names of the folders directly in `path`; none if it is not there."""
        ...

    def entries(self, prefix: str) -> list[FileEntry]:
        """Every file below `prefix` with its size and age; none if it is not there."""
        ...

    def modified(self, path: str) -> float:
        """Return the time when the file was last written, in seconds since 1970."""
        ...

    def move(self, source: str, target: str) -> None:
        """Move one file; a file that has gone meanwhile is no failure."""
        ...

    def delete(self, path: str) -> None:
        """Delete one file; a file that has gone meanwhile is no failure."""
        ...

    def clean(self, folders: Sequence[str]) -> int:
        """Delete what killed writes left below `folders`, if that is sure; returns how many."""
        ...


def open_folder(uri: str | Path) -> Folder:
    """The folder at `uri`; nothing is created, and Amazon asked for a bucket's region at most.

    Args:
        uri: a local path, ``file:///path``, ``s3://bucket/prefix``, ``gs://bucket/prefix``. For S3,
            ``?endpoint_override=host:port&scheme=http&region=name`` choose the server; without
            ``endpoint_override`` the variable AWS_ENDPOINT_URL does. Credentials come from the
            environment.

    Raises:
        StoreError: the address has an unknown scheme, no bucket, an unknown option or credentials.
    """
    text = absolute_address(uri, "store", StoreError)
    if not is_address(text):
        return LocalFolder(Path(text))
    system, root = open_bucket(text, "store", StoreError)
    plain = text.partition("?")[0]
    bucket, _, prefix = plain.partition("://")[2].partition("/")
    address = f"{plain.partition('://')[0]}://{bucket}/{prefix.strip('/')}"
    return RemoteFolder(system, root, address)
