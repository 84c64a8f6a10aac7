"""Source files of a task's images: a folder, tar shards or Parquet files."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from pyarrow import fs

from vlmsel.addresses import absolute_address
from vlmsel.errors import TaskError
from vlmsel.tasks.decoder import UNREAD_SUFFIXES, image_suffixes
from vlmsel.tasks.locations import (
    display,
    file_info,
    filesystem_of,
    is_remote,
    list_files,
    replace_path,
    require_bucket,
)
from vlmsel.tasks.patterns import expand_braces, glob_pattern

Kind = Literal["folder", "tar", "parquet", "jsonl"]
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
        mtime_ns: time of the last change.
        version: more that tells versions of the file apart, where a disk or a store has it.
    """

    uri: str
    name: str
    size: int
    mtime_ns: int
    version: str = ""


@dataclass(frozen=True)
class Sources:
    """The files of a task.

    Attributes:
        kind: how they are read.
        files: by name.
        pattern: whether they were given by a pattern.
        passed_over: what lies there and is not read, a phrase per kind.
        unread: (place, reason) of what should have been read and could not be.
    """

    kind: Kind
    files: tuple[SourceFile, ...]
    pattern: bool
    passed_over: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


def kind_of(uri: str) -> Kind:
    """Return the kind of reader of a source, by its suffix."""
    path = uri.partition("?")[0].casefold() if is_remote(uri) else uri.casefold()
    if path.endswith(TAR_SUFFIXES):
        return "tar"
    if path.endswith(".jsonl"):
        return "jsonl"
    return "parquet" if path.endswith(".parquet") else "folder"


def find_sources(images: str) -> Sources:
    """The files that `images` (see TaskSpec) names, sorted.

    Raises:
        TaskError: missing, empty, without an image, or out of reach; each with its own message.
    """
    uri = absolute_address(images, "images", TaskError)
    kind = kind_of(uri)
    if kind == "folder":
        return _folder(uri)
    if file_info(uri).type != fs.FileType.NotFound:
        return Sources(kind, (_source(uri, _existing(uri)),), pattern=False)
    if "{" in uri:
        files = tuple(_source(file, _existing(file)) for file in expand_braces(uri, display(uri)))
        return Sources(kind, files, pattern=True)
    if WILDCARDS.search(uri.partition("?")[0] if is_remote(uri) else uri):
        return Sources(kind, tuple(_glob(uri)), pattern=True)
    require_bucket(uri)
    raise TaskError(f"file {display(uri)} does not exist")


def _folder(uri: str) -> Sources:
    kind = file_info(uri).type
    if kind == fs.FileType.NotFound:
        require_bucket(uri)
        hint = "; a pattern names tars or Parquet files" if WILDCARDS.search(uri) else ""
        raise TaskError(f"folder {display(uri)} does not exist{hint}")
    if kind == fs.FileType.File:
        msg = f"{display(uri)} is a file: images are a folder, *.tar or *.parquet"
        raise TaskError(msg)
    unread = Unread()
    found = list(_walk_remote(uri) if is_remote(uri) else _walk_local(Path(uri), unread))
    passed = (*unread.phrases(), *_list_passed_over(found))
    missing = tuple(unread.missing)
    if not found and not passed and not missing:
        raise TaskError(f"folder {display(uri)} is empty")
    images = [f for f in found if _suffix(f) in image_suffixes()]
    if not images:
        reasons = [f"{place} {reason}" for place, reason in missing[:SHOWN_LINKS]]
        what = "; ".join([*reasons, *unread.phrases()]) or _describe_present(found)
        raise TaskError(f"no image in folder {display(uri)}: {what}")
    files = tuple(sorted(images, key=lambda f: f.name))
    return Sources("folder", files, pattern=False, passed_over=passed, unread=missing)


def _suffix(file: SourceFile) -> str:
    return PurePosixPath(file.name).suffix.casefold()


@dataclass
class Unread:
    """Folders that a walk did not go into: by rule, or because it could not."""

    linked: list[str] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)

    def phrases(self) -> Iterable[str]:
        """A phrase per kind."""
        if self.linked:
            shown = ", ".join(sorted(self.linked)[:SHOWN_LINKS])
            more = f" and {len(self.linked) - SHOWN_LINKS} more" * (len(self.linked) > SHOWN_LINKS)
            yield (
                f"{len(self.linked)} folder(s) that are links, which are not followed: "
                f"{shown}{more}"
            )


def _list_passed_over(found: list[SourceFile]) -> Iterable[str]:
    for kind, example in (("tar", "*.tar"), ("parquet", "*.parquet")):
        if number := sum(kind_of(f.name) == kind for f in found):
            yield f"{number} {kind} file(s): end `images` with /{example} to read those instead"
    suffixes = Counter(s for f in found if (s := _suffix(f)) in UNREAD_SUFFIXES)
    for suffix, number in sorted(suffixes.items()):
        yield f"{number} {suffix} file(s), a format that is not read: convert them"


def _describe_present(found: list[SourceFile]) -> str:
    for kind, example in (("tar", "*.tar"), ("parquet", "*.parquet")):
        if any(kind_of(f.name) == kind for f in found):
            return f"it holds {kind} files: end `images` with /{example}"
    if passed := "; ".join(_list_passed_over(found)):
        return passed
    suffixes = ", ".join(sorted(s.removeprefix(".") for s in image_suffixes()))
    return f"{len(found)} files, none of them {suffixes}"


def _walk_local(folder: Path, unread: Unread) -> Iterable[SourceFile]:
    def note(error: OSError) -> None:
        place = str(error.filename or folder)
        unread.missing.append((place, f"cannot be listed: {error.strerror or error}"))

    # Links to folders are not followed (they can go round); links to images are read.
    for root, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        unread.linked += [f for f in folders if os.path.islink(os.path.join(root, f))]
        for name in names:
            path = Path(root, name)
            if name.startswith("."):
                continue
            try:
                found = path.stat()
            except OSError as error:
                is_dead = path.is_symlink() and isinstance(error, FileNotFoundError)
                reason = "is a link that leads nowhere" if is_dead else f"{error.strerror}"
                # What is no picture is nobody's loss.
                if path.suffix.casefold() in image_suffixes():
                    unread.missing.append((str(path), reason))
                continue
            if stat.S_ISREG(found.st_mode):
                relative = path.relative_to(folder).as_posix()
                version = f"{found.st_ino}.{found.st_ctime_ns}"
                yield SourceFile(str(path), relative, found.st_size, found.st_mtime_ns, version)


def _walk_remote(uri: str) -> Iterable[SourceFile]:
    _, path = filesystem_of(uri)
    for info in list_files(uri, path, recursive=True):
        relative = info.path.removeprefix(path).lstrip("/")
        if not any(part.startswith(".") for part in relative.split("/")):
            yield SourceFile(replace_path(uri, info.path), relative, info.size, info.mtime_ns or 0)


def _glob(uri: str) -> list[SourceFile]:
    _, path = filesystem_of(uri)
    parts = PurePosixPath(path).parts
    fixed = next(i for i, part in enumerate(parts) if WILDCARDS.search(part))
    base = str(PurePosixPath(*parts[:fixed]))
    deep = fixed < len(parts) - 1
    fits = glob_pattern(path)
    found = [
        _source(replace_path(uri, info.path), info)
        for info in list_files(uri, base, recursive=deep)
        if fits.fullmatch(info.path)
    ]
    if not found:
        raise TaskError(f"no file matches {display(uri)}")
    return sorted(found, key=lambda f: f.uri)


def _existing(uri: str) -> fs.FileInfo:
    info = file_info(uri)
    if info.type == fs.FileType.NotFound:
        raise TaskError(f"file {display(uri)} does not exist")
    if info.type != fs.FileType.File:
        kind = kind_of(uri)
        raise TaskError(
            f"{display(uri)} is a folder: to read the files in it end `images` with /*.{kind}"
        )
    return info


def _source(uri: str, info: fs.FileInfo) -> SourceFile:
    version = ""
    if not is_remote(uri):
        with suppress(OSError):
            found = os.stat(uri)
            version = f"{found.st_ino}.{found.st_ctime_ns}"
    return SourceFile(uri, info.base_name, info.size, info.mtime_ns or 0, version)
