"""Which files a task's images lie in: a folder, tar shards or Parquet files."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from braceexpand import braceexpand
from pyarrow import fs

from vlmsel.addresses import absolute_address
from vlmsel.errors import TaskError
from vlmsel.tasks.locations import (
    display,
    file_info,
    filesystem_of,
    is_remote,
    list_files,
    renamed,
    require_bucket,
)

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


def find_sources(images: str) -> Sources:
    """The files that `images` (see TaskSpec) names, sorted.

    Raises:
        TaskError: missing, empty, without an image, or out of reach; each with its own message.
    """
    uri = absolute_address(images, "images", TaskError)
    kind = kind_of(uri)
    if kind == "folder":
        return Sources("folder", tuple(_folder(uri)), pattern=False)
    if file_info(uri).type != fs.FileType.NotFound:
        return Sources(kind, (_source(uri, _existing(uri)),), pattern=False)
    if "{" in uri:
        files = tuple(_source(one, _existing(one)) for one in _expand(uri))
        return Sources(kind, files, pattern=True)
    if WILDCARDS.search(uri.partition("?")[0] if is_remote(uri) else uri):
        return Sources(kind, tuple(_glob(uri)), pattern=True)
    require_bucket(uri)
    raise TaskError(f"file {display(uri)} does not exist")


def _folder(uri: str) -> list[SourceFile]:
    kind = file_info(uri).type
    if kind == fs.FileType.NotFound:
        require_bucket(uri)
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
    _, path = filesystem_of(uri)
    for info in list_files(uri, path, recursive=True):
        relative = info.path.removeprefix(path).lstrip("/")
        if not any(part.startswith(".") for part in relative.split("/")):
            yield SourceFile(renamed(uri, info.path), relative, info.size, info.mtime_ns or 0)


def _glob(uri: str) -> list[SourceFile]:
    _, path = filesystem_of(uri)
    parts = PurePosixPath(path).parts
    fixed = next(i for i, part in enumerate(parts) if WILDCARDS.search(part))
    base = str(PurePosixPath(*parts[:fixed]))
    deep = fixed < len(parts) - 1
    found = [
        _source(renamed(uri, info.path), info)
        for info in list_files(uri, base, recursive=deep)
        if PurePosixPath(info.path).match(path)
    ]
    if not found:
        raise TaskError(f"no file matches {display(uri)}")
    return sorted(found, key=lambda f: f.uri)


def _expand(uri: str) -> list[str]:
    try:
        return sorted(set(braceexpand(uri)))
    except ValueError as error:
        raise TaskError(f"the braces in {display(uri)} cannot be expanded: {error}") from None


def _existing(uri: str) -> fs.FileInfo:
    info = file_info(uri)
    if info.type != fs.FileType.File:
        what = "does not exist" if info.type == fs.FileType.NotFound else "is a folder"
        raise TaskError(f"file {display(uri)} {what}")
    return info


def _source(uri: str, info: fs.FileInfo) -> SourceFile:
    return SourceFile(uri, info.base_name, info.size, info.mtime_ns or 0)
