"""Read WebDataset tar shards: members `key.ext`, an image and maybe a label `key.cls` to a key.

`tarfile` and not `webdataset` reads them: webdataset imports torch, reads members of any size and
lets names such as ../x pass. The rule for keys is webdataset's own; a test holds it against theirs.
"""

import hashlib
import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from io import SEEK_END, BufferedReader
from operator import itemgetter
from pathlib import PurePosixPath

from vlmsel.errors import TaskError
from vlmsel.tasks.decoder import MAX_IMAGE_BYTES, UNREAD_SUFFIXES, image_suffixes
from vlmsel.tasks.folder_labels import stored_label
from vlmsel.tasks.found_image import FoundImage, unread_digest, unread_members
from vlmsel.tasks.locations import display, open_source, reason
from vlmsel.tasks.outages import read_error

TAR_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)
# What tarfile says of a file that none of its formats fits, before a list of them.
NO_TAR = "could not be opened successfully"
MAX_LABEL_BYTES = 64
MAX_MEMBER_BYTES = 1 << 30
# Headers with long names and attributes of the member after them.
MAX_HEADER_BYTES = 1 << 20
EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
# What compressed and sparse members may come to, beyond any that pictures would.
MAX_UNFOLDED_BYTES, MAX_RATIO = 1 << 30, 20
CHUNK_BYTES = 1 << 20
SPAN_READ_AHEAD_BYTES = 1 << 16


def scan_tar(uri: str, *, max_unfolded_bytes: int = MAX_UNFOLDED_BYTES) -> list[FoundImage]:
    """Every image of a shard, in the shard's order, then counts of what is not read; reads it once.

    Args:
        uri: of the shard.
        max_unfolded_bytes: what compressed and sparse members may come to in any case.

    Raises:
        TaskError: no tar, truncated, a member outside the archive, or a label that is no number.
    """
    images: dict[str, FoundImage] = {}
    labels: dict[str, int] = {}
    unread: Counter[str] = Counter()
    with _raise_task_errors(uri):
        for archive, info in _members(uri, max_unfolded_bytes):
            key, extension = split_key(info.name)
            suffix = extension.rpartition(".")[2]
            if suffix == "cls":
                # `v0.1.cls` is the label of `v0.1.png`, whose key is `v0`.
                labels[info.name[: -len(".cls")]] = _label(uri, archive, info)
            elif f".{suffix}" in image_suffixes():
                if info.name in images:
                    raise TaskError(f"{display(uri)}: two members are named '{info.name}'")
                images[info.name] = _describe_member(archive, info, key)
            elif f".{suffix}" in UNREAD_SUFFIXES:
                unread[f".{suffix}"] += 1
    counts = [unread_members(suffix, number) for suffix, number in sorted(unread.items())]
    return [*_with_keys(images, labels), *counts]


def read_spans(
    uri: str, spans: Mapping[str, tuple[int, int]]
) -> Iterator[tuple[str, bytes | TaskError]]:
    """The bytes at (offset, size) for each name, in the file's order; reads nothing else.

    Raises:
        TaskError: the file cannot be opened or read.
    """
    with open_source(uri, read_ahead_bytes=SPAN_READ_AHEAD_BYTES) as file, _raise_task_errors(uri):
        for member, (offset, size) in sorted(spans.items(), key=itemgetter(1)):
            if size > MAX_IMAGE_BYTES:
                yield member, _size_error(size)
            else:
                file.seek(offset)
                yield member, file.read(size)


def read_tar(uri: str, members: set[str]) -> Iterator[tuple[str, bytes | TaskError]]:
    """The bytes of the named members, in the shard's order, stopping after the last one.

    Raises:
        TaskError: as `scan_tar`.
    """
    wanted = set(members)
    with _raise_task_errors(uri):
        for archive, info in _members(uri):
            if info.name in wanted:
                wanted.discard(info.name)
                yield info.name, _content(archive, info)
            if not wanted:
                return


def _describe_member(archive: tarfile.TarFile, info: tarfile.TarInfo, key: str) -> FoundImage:
    # A compressed archive is read through another object, and a sparse member is in pieces.
    plain = isinstance(archive.fileobj, BufferedReader) and not info.issparse()
    span = (info.offset_data, info.size) if plain else (None, None)
    too_large = info.size > MAX_IMAGE_BYTES
    digest = unread_digest(info.size) if too_large else _sha256(archive, info)
    return FoundImage(key, info.name, digest, None, *span)


def _with_keys(images: dict[str, FoundImage], labels: dict[str, int]) -> list[FoundImage]:
    found: dict[str, FoundImage] = {}
    for member, image in images.items():
        # A second image of one key (key.left.png, key.right.png) goes by its whole name.
        name = member if image.key in found else image.key
        whole = member.rpartition(".")[0]
        found[name] = replace(image, key=name, label=labels.get(whole, labels.get(image.key)))
    return list(found.values())


def split_key(name: str) -> tuple[str, str]:
    """WebDataset's rule: the key ends at the first dot of the file name; then the extension."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.casefold()


def _members(
    uri: str, max_unfolded_bytes: int = MAX_UNFOLDED_BYTES
) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with (
        open_source(uri) as file,
        tarfile.open(fileobj=file, tarinfo=_BoundedInfo) as archive,
    ):
        unfolded, limit = 0, max(max_unfolded_bytes, MAX_RATIO * _file_size(file))
        for info in archive:
            _refuse_unsafe(uri, info)
            if info.issparse() or archive.fileobj is not file:
                unfolded += info.size
            if unfolded > limit:
                msg = f"{display(uri)}: its members unfold to over {limit} bytes; shard refused"
                raise TaskError(msg)
            # Links, folders and devices carry no image; a link could point anywhere.
            if info.isfile() and not PurePosixPath(info.name).name.startswith("."):
                yield archive, info
            # Without this tarfile remembers every member of the shard.
            archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
        _refuse_truncated(uri, archive)


class _BoundedInfo(tarfile.TarInfo):
    """A member; tarfile reads headers that extend others whole, whatever size they claim."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in EXTENSIONS and self.size > MAX_HEADER_BYTES:
            # One that tarfile itself does not catch.
            raise tarfile.ExtractError(f"a header claims {self.size} bytes")
        return super()._proc_member(archive)  # pyright: ignore[reportAttributeAccessIssue]


def _file_size(file: BufferedReader) -> int:
    place = file.tell()
    size = file.seek(0, SEEK_END)
    file.seek(place)
    return size


@contextmanager
def _raise_task_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except TAR_ERRORS as error:
        why = "it is no tar, or damaged: replace it" if NO_TAR in str(error) else reason(error)
        raise read_error(f"{display(uri)} is no readable tar: {why}", error) from None


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
        return _size_error(info.size)
    file = archive.extractfile(info)
    return file.read() if file else b""


def _size_error(size: int) -> TaskError:
    return TaskError(f"{size} bytes, more than {MAX_IMAGE_BYTES} allowed")


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
        return stored_label(int(text), f"{display(uri)}: '{info.name}'") or 0
    except ValueError:
        msg = f"{display(uri)}: label '{info.name}' is not a number: {text[:20]!r}"
        raise TaskError(msg) from None
