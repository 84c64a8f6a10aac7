"""One way to local folders and object stores: a path or an address becomes a `Folder`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from pyarrow import fs

from vlmsel.addresses import absolute_address, is_address
from vlmsel.errors import StoreError
from vlmsel.store.file_entry import FileEntry
from vlmsel.store.local import LocalFolder
from vlmsel.store.remote import RemoteFolder
from vlmsel.tasks.clouds import with_retry_limit

S3_OPTIONS = ("endpoint_override", "scheme", "region")


class Folder(Protocol):
    """A root; files are named by relative paths with ``/``. Every failure is a `StoreError`."""

    @property
    def address(self) -> str:
        """Where it is, to be shown to people: no credentials, no query."""
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
        """When the file was last written, in seconds since 1970."""
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
    """The folder at `uri`; nothing is created or contacted yet.

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
    return _open_s3(text) if text.startswith("s3:") else _open_gs(text)


def _bucket_and_prefix(text: str) -> tuple[str, str]:
    parts = urlsplit(text)
    return parts.netloc, parts.path.strip("/")


def _open_s3(text: str) -> RemoteFolder:
    bucket, prefix = _bucket_and_prefix(text)
    address = f"s3://{bucket}/{prefix}"
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query))
    unknown = sorted(set(options) - set(S3_OPTIONS))
    if unknown:
        raise StoreError(
            f"store address {address} has the unknown option {unknown[0]}: "
            f"known are {', '.join(S3_OPTIONS)}"
        )
    endpoint = options.get("endpoint_override") or os.environ.get("AWS_ENDPOINT_URL", "")
    endpoint_scheme, _, host = endpoint.rpartition("://")
    try:
        system = fs.S3FileSystem(
            endpoint_override=host.rstrip("/") or None,
            scheme=options.get("scheme") or endpoint_scheme or "https",
            region=options.get("region"),
            background_writes=False,
            # Small files are then one PUT at close instead of a multipart upload.
            allow_delayed_open=True,
        )
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot open {address}: check region and credentials ({type(error).__name__})"
        ) from None
    return RemoteFolder(system, f"{bucket}/{prefix}".rstrip("/"), address)


def _open_gs(text: str) -> RemoteFolder:
    bucket, prefix = _bucket_and_prefix(text)
    address = f"gs://{bucket}/{prefix}"
    try:
        system, root = fs.FileSystem.from_uri(with_retry_limit(text))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot open {address}: check options and credentials ({type(error).__name__})"
        ) from None
    return RemoteFolder(system, root.rstrip("/"), address)
