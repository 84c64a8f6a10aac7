"""Read WebDataset tar shards: members `key.ext`, an image and maybe a label `key.cls` to a key.

`tarfile` and not `webdataset` reads them: webdataset imports torch, reads members of any size and
lets names such as ../x pass. The rule for keys is webdataset's own; a test holds it against theirs.
"""

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from vlmsel.errors import TaskError
from vlmsel.tasks.decode import MAX_IMAGE_BYTES
from vlmsel.tasks.found import FoundImage
from vlmsel.tasks.sources import IMAGE_SUFFIXES, display, open_source, reason

TAR_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)
MAX_LABEL_BYTES = 64
MAX_MEMBER_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20


def scan_tar(uri: str) -> list[FoundImage]:
    """Every image of a shard, in the shard's order; reads it once.

    Raises:
        TaskError: no tar, truncated, a member outside the archive, or a label that is no number.
    """
    images: dict[str, str] = {}
    labels: dict[str, int] = {}
    with _as_task_errors(uri):
        for archive, info in _members(uri):
            key, extension = split_key(info.name)
            if extension == "cls":
                labels[key] = _label(uri, archive, info)
            elif f".{extension.rpartition('.')[2]}" in IMAGE_SUFFIXES:
                if info.name in images:
                    raise TaskError(f"{display(uri)}: two members are named '{info.name}'")
                images[info.name] = _sha256(archive, info)
    return _with_keys(images, labels)


def read_tar(uri: str, members: set[str]) -> Iterator[tuple[str, bytes | TaskError]]:
    """The bytes of the named members, in the shard's order, stopping after the last one.

    Raises:
        TaskError: as `scan_tar`.
    """
    wanted = set(members)
    with _as_task_errors(uri):
        for archive, info in _members(uri):
            if info.name in wanted:
                wanted.discard(info.name)
                yield info.name, _content(archive, info)
            if not wanted:
                return


def _with_keys(images: dict[str, str], labels: dict[str, int]) -> list[FoundImage]:
    found: dict[str, FoundImage] = {}
    for member, digest in images.items():
        key, _ = split_key(member)
        # A second image of one key (key.left.png, key.right.png) goes by its whole name.
        name = member if key in found else key
        found[name] = FoundImage(name, member, digest, labels.get(key))
    return list(found.values())


def split_key(name: str) -> tuple[str, str]:
    """WebDataset's rule: the key ends at the first dot of the file name; then the extension."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.casefold()


def _members(uri: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with open_source(uri) as file, tarfile.open(fileobj=file) as archive:
        for info in archive:
            _refuse_unsafe(uri, info)
            # Links, folders and devices carry no image; a link could point anywhere.
            if info.isfile() and not PurePosixPath(info.name).name.startswith("."):
                yield archive, info
            # Without this tarfile remembers every member of the shard.
            archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
        _refuse_truncated(uri, archive)


@contextmanager
def _as_task_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except TAR_ERRORS as error:
        raise TaskError(f"{display(uri)} is no readable tar: {reason(error)}") from None


def _refuse_unsafe(uri: str, info: tarfile.TarInfo) -> None:
    path = PurePosixPath(info.name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        msg = f"{display(uri)}: member '{info.name}' points outside the archive; shard refused"
        raise TaskError(msg)
    # A sparse or compressed member can claim any size: even passing over it could take for ever.
    if info.size > MAX_MEMBER_BYTES:
        msg = f"{display(uri)}: member '{info.name}' has {info.size} bytes; shard refused"
        raise TaskError(msg)


def _refuse_truncated(uri: str, archive: tarfile.TarFile) -> None:
    # tarfile takes a file that ends between two members for a whole one; a whole one ends in zeros.
    file = archive.fileobj
    if file is None:
        return
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != b"\0" * tarfile.BLOCKSIZE:
        raise TaskError(f"{display(uri)} is no readable tar: it is truncated")


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes | TaskError:
    if info.size > MAX_IMAGE_BYTES:
        return TaskError(f"{info.size} bytes, more than {MAX_IMAGE_BYTES} allowed")
    file = archive.extractfile(info)
    return file.read() if file else b""


def _sha256(archive: tarfile.TarFile, info: tarfile.TarInfo) -> str:
    digest = hashlib.sha256()
    file = archive.extractfile(info)
    while file and (chunk := file.read(CHUNK_BYTES)):
        digest.update(chunk)
    return digest.hexdigest()


def _label(uri: str, archive: tarfile.TarFile, info: tarfile.TarInfo) -> int:
    file = archive.extractfile(info)
    text = file.read(MAX_LABEL_BYTES) if file else b""
    try:
        return int(text)
    except ValueError:
        msg = f"{display(uri)}: label '{info.name}' is not a number: {text[:20]!r}"
        raise TaskError(msg) from None
