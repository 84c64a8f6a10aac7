"""Which files a task's images lie in: a folder, tar shards or Parquet files; local, s3:// or gs://.

A source is named by a string: an absolute local path, or `scheme://bucket/key?options` with the key
as it is (not percent-encoded). Credentials come from the environment, never from the name.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote

import pyarrow as pa
from braceexpand import braceexpand
from pyarrow import fs

from vlmsel.errors import TaskError

Kind = Literal["folder", "tar", "parquet"]
IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "avif",
        "bmp",
        "gif",
        "jp2",
        "jpeg",
        "jpg",
        "pgm",
        "png",
        "ppm",
        "tif",
        "tiff",
        "webp",
    )
)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
WILDCARDS = re.compile(r"[*?\[]")
REMOTE = re.compile(r"^(?!file:)([a-z][a-z0-9+.-]*)://([^/?]+)(/[^?]*)?(?:\?(.*))?$")
READ_AHEAD_BYTES = 8 << 20


@dataclass(frozen=True)
class SourceFile:
    """One file that holds images.

    Attributes:
        uri: local path or remote name, what `open_source` takes.
        name: path within the folder, or the file's own name.
        size: bytes.
        mtime_ns: time of the last change; with the size, the file's version.
    """

    uri: str
    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Sources:
    """The files of a task, by name; `pattern` says whether they were given by a pattern."""

    kind: Kind
    files: tuple[SourceFile, ...]
    pattern: bool


def kind_of(uri: str) -> Kind:
    """How a source is read, by its suffix."""
    path = uri.partition("?")[0].casefold() if is_remote(uri) else uri.casefold()
    if path.endswith(TAR_SUFFIXES):
        return "tar"
    return "parquet" if path.endswith(".parquet") else "folder"


def is_remote(uri: str) -> bool:
    """Whether a source lies in an object store."""
    return REMOTE.match(uri) is not None


def display(uri: str) -> str:
    """A source's name for messages: without options, which may say too much."""
    return uri.partition("?")[0] if is_remote(uri) else uri


def find_sources(images: str) -> Sources:
    """The files that `images` (see TaskSpec) names, sorted.

    Raises:
        TaskError: missing, empty, without an image, or out of reach; each with its own message.
    """
    uri = _local_path(images)
    if not is_remote(uri) and "://" in uri:
        raise TaskError(f"images '{display(uri)}' are neither a path nor scheme://bucket/key")
    kind = kind_of(uri)
    if kind == "folder":
        return Sources("folder", tuple(_folder(uri)), pattern=False)
    if _info(uri).type != fs.FileType.NotFound:
        return Sources(kind, (_source(uri, _existing(uri)),), pattern=False)
    if "{" in uri:
        files = tuple(_source(one, _existing(one)) for one in _expand(uri))
        return Sources(kind, files, pattern=True)
    if WILDCARDS.search(uri.partition("?")[0] if is_remote(uri) else uri):
        return Sources(kind, tuple(_glob(uri)), pattern=True)
    raise TaskError(f"file {display(uri)} does not exist")


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
        filesystem, path = _filesystem(uri)
        # NativeFile has what a raw stream needs, without the base class.
        return BufferedReader(filesystem.open_input_file(path), read_ahead_bytes)  # pyright: ignore[reportArgumentType]
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{display(uri)} cannot be read: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """The first line of an error, without the path that the message has already."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def _folder(uri: str) -> list[SourceFile]:
    kind = _info(uri).type
    if kind == fs.FileType.NotFound:
        raise TaskError(f"folder {display(uri)} does not exist")
    if kind == fs.FileType.File:
        msg = f"{display(uri)} is a file: images are a folder, *.tar or *.parquet"
        raise TaskError(msg)
    found = list(_walk_remote(uri) if is_remote(uri) else _walk_local(Path(uri)))
    if not found:
        raise TaskError(f"folder {display(uri)} is empty")
    images = [f for f in found if PurePosixPath(f.name).suffix.casefold() in IMAGE_SUFFIXES]
    if not images:
        raise TaskError(f"no image in folder {display(uri)}: {_what_is_there(found)}")
    return sorted(images, key=lambda f: f.name)


def _what_is_there(found: list[SourceFile]) -> str:
    for kind, example in (("tar", "*.tar"), ("parquet", "*.parquet")):
        if any(kind_of(f.name) == kind for f in found):
            return f"it holds {kind} files: end `images` with /{example}"
    suffixes = ", ".join(sorted(s.removeprefix(".") for s in IMAGE_SUFFIXES))
    return f"{len(found)} files, none of them {suffixes}"


def _walk_local(folder: Path) -> Iterable[SourceFile]:
    # Links to folders are not followed (they can go round); links to images are read.
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in names:
            path = Path(root, name)
            if name.startswith(".") or not path.is_file():
                continue
            stat = path.stat()
            relative = path.relative_to(folder).as_posix()
            yield SourceFile(str(path), relative, stat.st_size, stat.st_mtime_ns)


def _walk_remote(uri: str) -> Iterable[SourceFile]:
    _, path = _filesystem(uri)
    for info in _list(uri, path, recursive=True):
        relative = info.path.removeprefix(path).lstrip("/")
        if not any(part.startswith(".") for part in relative.split("/")):
            yield SourceFile(_renamed(uri, info.path), relative, info.size, info.mtime_ns or 0)


def _glob(uri: str) -> list[SourceFile]:
    _, path = _filesystem(uri)
    parts = PurePosixPath(path).parts
    fixed = next(i for i, part in enumerate(parts) if WILDCARDS.search(part))
    base = str(PurePosixPath(*parts[:fixed]))
    deep = fixed < len(parts) - 1
    found = [
        _source(_renamed(uri, info.path), info)
        for info in _list(uri, base, recursive=deep)
        if PurePosixPath(info.path).match(path)
    ]
    if not found:
        raise TaskError(f"no file matches {display(uri)}")
    return sorted(found, key=lambda f: f.uri)


def _list(uri: str, base: str, *, recursive: bool) -> list[fs.FileInfo]:
    filesystem, _ = _filesystem(uri)
    try:
        infos = filesystem.get_file_info(fs.FileSelector(base, recursive=recursive))
    except FileNotFoundError:
        raise TaskError(f"no file matches {display(uri)}: {base} does not exist") from None
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{display(uri)} cannot be listed: {reason(error)}") from None
    return [info for info in infos if info.type == fs.FileType.File]


def _expand(uri: str) -> list[str]:
    try:
        return sorted(set(braceexpand(uri)))
    except ValueError as error:
        raise TaskError(f"the braces in {display(uri)} cannot be expanded: {error}") from None


def _existing(uri: str) -> fs.FileInfo:
    info = _info(uri)
    if info.type != fs.FileType.File:
        what = "does not exist" if info.type == fs.FileType.NotFound else "is a folder"
        raise TaskError(f"file {display(uri)} {what}")
    return info


def _info(uri: str) -> fs.FileInfo:
    filesystem, path = _filesystem(uri)
    try:
        return filesystem.get_file_info(path)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{display(uri)} cannot be reached: {reason(error)}") from None


def _source(uri: str, info: fs.FileInfo) -> SourceFile:
    return SourceFile(uri, info.base_name, info.size, info.mtime_ns or 0)


def _renamed(uri: str, path: str) -> str:
    match = REMOTE.match(uri)
    if match is None:
        return path
    options = f"?{match[4]}" if match[4] else ""
    return f"{match[1]}://{path}{options}"


def _filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    match = REMOTE.match(uri)
    if match is None:
        return fs.LocalFileSystem(), uri
    scheme, bucket, key, options = match[1], match[2], match[3] or "", match[4] or ""
    if "@" in bucket or "secret" in options.casefold():
        raise TaskError(f"no credentials in {scheme}:// names: put them into the environment")
    return _remote_filesystem(scheme, bucket, options), f"{bucket}{key}".rstrip("/")


@lru_cache(maxsize=16)
def _remote_filesystem(scheme: str, bucket: str, options: str) -> fs.FileSystem:
    try:
        filesystem, _ = fs.FileSystem.from_uri(f"{scheme}://{bucket}" + (options and f"?{options}"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise TaskError(f"{scheme}://{bucket} cannot be opened: {reason(error)}") from None
    return filesystem


def _local_path(images: str) -> str:
    return unquote(images.removeprefix("file://")) if images.startswith("file://") else images
