"""Names of sources and the file systems behind them: local, s3:// or gs://, all through Arrow.

A source is named by a string: an absolute local path, or `scheme://bucket/key?options` with the key
as it is (not percent-encoded). Credentials come from the environment, never from the name.
"""

import os
import re
import stat
from io import BufferedReader

import pyarrow as pa
from pyarrow import fs

from vlmsel.errors import TaskError, first_line
from vlmsel.outside_names import readable
from vlmsel.tasks.buckets import open_bucket
from vlmsel.tasks.clouds import NO_SUCH_BUCKET, cloud_reason
from vlmsel.tasks.outages import read_error

REMOTE = re.compile(r"^(?!file:)([a-z][a-z0-9+.-]*)://([^/?]+)(/[^?]*)?(?:\?(.*))?$")
READ_AHEAD_BYTES = 8 << 20


def is_remote(uri: str) -> bool:
    """Return whether a source lies in an object store."""
    return REMOTE.match(uri) is not None


def display(uri: str) -> str:
    """A source's name for messages: without options, which may say too much."""
    return uri.partition("?")[0] if is_remote(uri) else uri


def open_source(uri: str, *, read_ahead_bytes: int = READ_AHEAD_BYTES) -> BufferedReader:
    """Open a source for reading with seeks.

    Args:
        uri: local path or remote name.
        read_ahead_bytes: how much an object store is asked for at once.

    Raises:
        TaskError: it does not exist or cannot be read.
    """
    try:
        if not is_remote(uri):
            return open(uri, "rb")
        filesystem, path = filesystem_of(uri)
        # NativeFile has what a raw stream needs, without the base class.
        return BufferedReader(filesystem.open_input_file(path), read_ahead_bytes)  # pyright: ignore[reportArgumentType]
    except (OSError, pa.ArrowException) as error:
        raise read_error(f"{display(uri)} cannot be read: {reason(error)}", error) from None


def file_info(uri: str) -> fs.FileInfo:
    """Kind, size and time of a source, which may not exist.

    Raises:
        TaskError: its store cannot be reached.
    """
    filesystem, path = filesystem_of(uri)
    try:
        return filesystem.get_file_info(path) if readable(path) == path else _info_by_bytes(path)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{display(uri)} cannot be reached: {reason(error)}") from None


def _info_by_bytes(path: str) -> fs.FileInfo:
    """Answer as Arrow would for a local path that is no UTF-8, which Arrow does not take."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return fs.FileInfo(readable(path), fs.FileType.NotFound)
    kinds = {stat.S_IFREG: fs.FileType.File, stat.S_IFDIR: fs.FileType.Directory}
    kind = kinds.get(stat.S_IFMT(found.st_mode), fs.FileType.Unknown)
    return fs.FileInfo(readable(path), kind, mtime_ns=found.st_mtime_ns, size=found.st_size)


def require_bucket(uri: str) -> None:
    """Raise TaskError where the bucket of a remote source does not exist."""
    match = REMOTE.match(uri)
    if (
        match
        and file_info(f"{match[1]}://{match[2]}?{match[4] or ''}").type == fs.FileType.NotFound
    ):
        raise TaskError(f"{display(uri)} cannot be read: {NO_SUCH_BUCKET}")


def list_files(uri: str, base: str, *, recursive: bool) -> list[fs.FileInfo]:
    """The files below a path of the store that `uri` lies in.

    Raises:
        TaskError: no such path, or it cannot be listed.
    """
    filesystem, _ = filesystem_of(uri)
    try:
        infos = filesystem.get_file_info(fs.FileSelector(base, recursive=recursive))
    except FileNotFoundError:
        raise TaskError(f"no file matches {display(uri)}: {base} does not exist") from None
    except (OSError, UnicodeError, pa.ArrowException) as error:
        raise TaskError(f"{display(uri)} cannot be listed: {reason(error)}") from None
    return [info for info in infos if info.type == fs.FileType.File]


def replace_path(uri: str, path: str) -> str:
    """The name of another path in the store that `uri` lies in."""
    match = REMOTE.match(uri)
    if match is None:
        return path
    options = f"?{match[4]}" if match[4] else ""
    return f"{match[1]}://{path}{options}"


def filesystem_of(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a source and the path in it.

    Raises:
        TaskError: unknown kind of store, or credentials in the name.
    """
    match = REMOTE.match(uri)
    if match is None:
        return fs.LocalFileSystem(), uri
    return open_bucket(uri, "images", TaskError)


def reason(error: BaseException) -> str:
    """The first line of an error, without the path that the message has already."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return error.strerror
    if answer := cloud_reason(error):
        return answer
    return first_line(error)
