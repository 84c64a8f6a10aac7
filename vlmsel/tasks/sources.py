"""Which files a task's images lie in: a folder, tar shards or Parquet files."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from braceexpand import braceexpand
from pyarrow import fs

from vlmsel.addresses import absolute_address
from vlmsel.errors import TaskError
from vlmsel.tasks.decode import image_suffixes
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
# Pictures that the decoder does not read: passing them over is worth a word.
UNREAD_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "arw", "cr2", "cr3", "dng", "eps", "exr", "hdr", "heic", "heif", "hif", "ico", "jxl", "nef",
        "orf", "pfm", "psd", "raf", "svg", "tga",
    )
)  # fmt: skip
SHOWN_LINKS = 3
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
    """The files of a task.

    Attributes:
        kind: how they are read.
        files: by name.
        pattern: whether they were given by a pattern.
        passed_over: what lies there and is not read, a phrase per kind.
    """

    kind: Kind
    files: tuple[SourceFile, ...]
    pattern: bool
    passed_over: tuple[str, ...] = ()


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
        files, passed = _folder(uri)
        return Sources("folder", tuple(files), pattern=False, passed_over=passed)
    if file_info(uri).type != fs.FileType.NotFound:
        return Sources(kind, (_source(uri, _existing(uri)),), pattern=False)
    if "{" in uri:
        files = tuple(_source(one, _existing(one)) for one in _expand(uri))
        return Sources(kind, files, pattern=True)
    if WILDCARDS.search(uri.partition("?")[0] if is_remote(uri) else uri):
        return Sources(kind, tuple(_glob(uri)), pattern=True)
    require_bucket(uri)
    raise TaskError(f"file {display(uri)} does not exist")


def _folder(uri: str) -> tuple[list[SourceFile], tuple[str, ...]]:
    kind = file_info(uri).type
    if kind == fs.FileType.NotFound:
        require_bucket(uri)
        raise TaskError(f"folder {display(uri)} does not exist")
    if kind == fs.FileType.File:
        msg = f"{display(uri)} is a file: images are a folder, *.tar or *.parquet"
        raise TaskError(msg)
    unread = Unread()
    found = list(_walk_remote(uri) if is_remote(uri) else _walk_local(Path(uri), unread))
    passed = (*unread.phrases(), *_passed_over(found))
    if not found and not passed:
        raise TaskError(f"folder {display(uri)} is empty")
    images = [f for f in found if _suffix(f) in image_suffixes()]
    if not images:
        what = "; ".join(unread.phrases()) or _what_is_there(found)
        raise TaskError(f"no image in folder {display(uri)}: {what}")
    return sorted(images, key=lambda f: f.name), passed


def _suffix(file: SourceFile) -> str:
    return PurePosixPath(file.name).suffix.casefold()


@dataclass
class Unread:
    """What a walk through a folder could not go into."""

    linked: list[str] = field(default_factory=list)
    dead: int = 0
    unlisted: int = 0

    def phrases(self) -> Iterable[str]:
        """A phrase per kind."""
        if self.linked:
            shown = ", ".join(sorted(self.linked)[:SHOWN_LINKS])
            more = f" and {len(self.linked) - SHOWN_LINKS} more" * (len(self.linked) > SHOWN_LINKS)
            yield (
                f"{len(self.linked)} folder(s) that are links, which are not followed: "
                f"{shown}{more}"
            )
        if self.dead:
            yield f"{self.dead} link(s) that lead nowhere"
        if self.unlisted:
            yield f"{self.unlisted} folder(s) that cannot be listed"


def _passed_over(found: list[SourceFile]) -> Iterable[str]:
    for kind, example in (("tar", "*.tar"), ("parquet", "*.parquet")):
        if number := sum(kind_of(f.name) == kind for f in found):
            yield f"{number} {kind} file(s): end `images` with /{example} to read those instead"
    suffixes = Counter(s for f in found if (s := _suffix(f)) in UNREAD_SUFFIXES)
    for suffix, number in sorted(suffixes.items()):
        yield f"{number} {suffix} file(s), a format that is not read: convert them"


def _what_is_there(found: list[SourceFile]) -> str:
    for kind, example in (("tar", "*.tar"), ("parquet", "*.parquet")):
        if any(kind_of(f.name) == kind for f in found):
            return f"it holds {kind} files: end `images` with /{example}"
    if passed := "; ".join(_passed_over(found)):
        return passed
    suffixes = ", ".join(sorted(s.removeprefix(".") for s in image_suffixes()))
    return f"{len(found)} files, none of them {suffixes}"


def _walk_local(folder: Path, unread: Unread) -> Iterable[SourceFile]:
    def count(_: OSError) -> None:
        unread.unlisted += 1

    # Links to folders are not followed (they can go round); links to images are read.
    for root, folders, names in os.walk(folder, onerror=count):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        unread.linked += [f for f in folders if os.path.islink(os.path.join(root, f))]
        for name in names:
            path = Path(root, name)
            if name.startswith("."):
                continue
            if not path.is_file():
                unread.dead += path.is_symlink() and not path.exists()
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
