"""Decoded images, shared by the models of one node that prepare them alike.

An image costs about as much to decode and resize as a small model takes to read it, and every model
with the same preprocessing wants the same tensor. So a decoded shard is a file in a folder of the
node's temporary disk: the page cache makes it memory, every process of the node sees it, a killed
worker leaves nothing locked, and the size is bounded.
"""

import hashlib
import logging
import os
import re
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vlmsel.errors import ImageError, TaskError, UnavailableError
from vlmsel.outside_names import readable
from vlmsel.private_temp import UnsafeFolderError, file_lock, make_private, user_folder
from vlmsel.redaction import describe_error, redact
from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.outages import UNAVAILABLE, is_unavailable
from vlmsel.tasks.shards import Shard, read_shard

log = logging.getLogger(__name__)

Transform = Callable[[Image.Image], Tensor]

FOLDER = "vlmsel-decoded"
# An entry that nobody read for this long belongs to another run and gives way.
STALE_S = 3600.0
# Whoever holds a shard's lock may be stopped, and decoding it here costs seconds.
LOCK_WAIT_S = 60.0
# Nothing else in the folder is ever deleted.
ENTRY = re.compile(r"[0-9a-f]{32}\.(safetensors|lock|\d+\.part)")
# Of a picture that every preprocessing takes.
PLAIN_SIZE = (64, 64)
# Between tries to read from an object store.
PAUSES_S = (0.2, 1.0)


@dataclass(frozen=True)
class DecodedShard:
    """A shard's images, ready for one preprocessing.

    Attributes:
        images: (n, 3, H, W), the readable images in shard order; None if there are none.
        refs: the n readable images.
        failed: (image, reason) of the others.
        n_decoded: how many were decoded now; 0 when they came from the cache.
        n_unavailable: failed ones that a later try may be able to read.
    """

    images: Tensor | None
    refs: tuple[ImageRef, ...]
    failed: tuple[tuple[ImageRef, str], ...]
    n_decoded: int
    n_unavailable: int = 0


def decode_shard(
    shard: Shard, transform: Transform, *, pauses_s: Sequence[float] = PAUSES_S
) -> DecodedShard:
    """Read, decode and transform every image of a shard; an unreadable image fails alone.

    What cannot be read from an object store is asked for again a few times, since a network fault
    passes.

    Args:
        shard: which images.
        transform: preprocessing of a model.
        pauses_s: between tries to read from an object store.
    """
    tensors: dict[ImageRef, Tensor] = {}

    def decode(ref: ImageRef, data: bytes) -> None:
        like = next(iter(tensors.values()), None)
        tensors[ref] = _transform_picture(transform, decode_image(data), like=like)

    reasons = _decode_each(shard, decode, pauses_s)
    refs = tuple(ref for ref in shard.images if ref in tensors)
    images = _stack([tensors.pop(ref) for ref in refs]) if refs else None
    return _make_shard(images, refs, reasons)


def decode_pictures(
    shard: Shard, transform: Transform | None
) -> tuple[DecodedShard, tuple[Image.Image, ...]]:
    """The same with the pictures as they were decoded, each with a question about it.

    Args:
        shard: which images; several may be one picture.
        transform: None for a model that reads pictures at several sizes; then there are no tensors.
    """
    pictures: dict[ImageRef, Image.Image] = {}
    tensors: dict[ImageRef, Tensor] = {}

    def decode(ref: ImageRef, data: bytes) -> None:
        picture = decode_image(data)
        if transform is not None:
            like = next(iter(tensors.values()), None)
            tensors[ref] = _transform_picture(transform, picture, like=like)
        pictures[ref] = picture

    reasons = _decode_each(shard, decode)
    refs = tuple(ref for ref in shard.images if ref in pictures)
    images = _stack([tensors.pop(ref) for ref in refs]) if tensors else None
    return _make_shard(images, refs, reasons), tuple(pictures[ref] for ref in refs)


def _make_shard(
    images: Tensor | None, refs: tuple[ImageRef, ...], reasons: tuple[tuple[ImageRef, str], ...]
) -> DecodedShard:
    n_unavailable = sum(is_unavailable(reason) for _, reason in reasons)
    return DecodedShard(images, refs, reasons, len(refs), n_unavailable)


def _decode_each(
    shard: Shard,
    decode: Callable[[ImageRef, bytes], None],
    pauses_s: Sequence[float] = PAUSES_S,
) -> tuple[tuple[ImageRef, str], ...]:
    """Decode every image of a shard; gives those that fail, with the reason."""
    failed: dict[ImageRef, str] = {}
    asked = shard
    for pause in (*pauses_s, None):
        unread = []
        for ref, data in read_shard(asked):
            failed.pop(ref, None)
            if isinstance(data, TaskError):
                may_pass = isinstance(data, UnavailableError)
                failed[ref] = f"{UNAVAILABLE if may_pass else ''}{readable(redact(data))}"
                unread.append(ref)
                continue
            try:
                decode(ref, data)
            except ImageError as error:
                failed[ref] = readable(redact(error))
        asked = replace(shard, images=tuple(ref for ref in unread if "://" in ref.source))
        if pause is None or not asked.images:
            break
        time.sleep(pause)
    return tuple((ref, failed[ref]) for ref in shard.images if ref in failed)


def tensor_bytes(transform: Transform) -> int | None:
    """Bytes that a preprocessing makes of a picture; None where it fails on a plain one."""
    try:
        return transform(Image.new("RGB", PLAIN_SIZE)).nbytes
    except (Exception, SystemExit) as error:
        log.debug("where it failed", exc_info=error)
        return None


def _transform_picture(transform: Transform, image: Image.Image, *, like: Tensor | None) -> Tensor:
    """The tensor of one picture.

    Raises:
        ImageError: the transform, a library's or a user's, fails on it or gives another shape than
            for the pictures before it.
    """
    size = "x".join(map(str, image.size))
    try:
        tensor = transform(image)
    except (ImageError, MemoryError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:
        log.debug("where it failed", exc_info=error)
        raise ImageError(
            f"its preprocessing failed on {size} pixels: {describe_error(error)}"
        ) from error
    if not isinstance(tensor, Tensor) or tensor.ndim != 3:
        what = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ImageError(f"its preprocessing gave {what} of {size} pixels, and no (3, H, W)")
    if like is not None and (tensor.shape != like.shape or tensor.dtype != like.dtype):
        raise ImageError(
            f"its preprocessing gave {tuple(tensor.shape)} {tensor.dtype} of {size} pixels, and "
            f"{tuple(like.shape)} {like.dtype} of others"
        )
    return tensor


def _stack(tensors: list[Tensor]) -> Tensor:
    """One tensor of several, each let go as it is copied: the two together are large."""
    stacked = tensors[0].new_empty((len(tensors), *tensors[0].shape))
    for number in range(len(tensors) - 1, -1, -1):
        stacked[number] = tensors.pop()
    return stacked


class DecodedCache:
    """Decoded shards of one node, bounded in bytes; safe for any number of processes.

    A newcomer that does not fit is not kept, unless stale entries give way. Evicting the oldest
    would be worse: models go through the same shards in the same order, and what is evicted first
    is what is needed next.

    Args:
        max_bytes: 0 keeps nothing.
        folder: where; by default one folder per user in the temporary directory.
        lock_wait_s: how long to wait for another process that decodes the same shard.
    """

    def __init__(
        self, max_bytes: int, folder: Path | None = None, *, lock_wait_s: float = LOCK_WAIT_S
    ) -> None:
        self._max_bytes = max_bytes
        self._folder = folder
        self._lock_wait_s = lock_wait_s
        self._is_warned = False

    def get(self, preprocessing: str, shard: Shard, transform: Transform) -> DecodedShard:
        """The decoded shard, from the cache or by decoding it now.

        Two processes do not decode it twice. Where the folder is not safe, or another process holds
        the shard for too long, it is decoded without the cache.

        Args:
            preprocessing: what `transform` does, from the model's identity.
            shard: which images.
            transform: used where the shard is not in the cache.
        """
        folder = self._usable_folder()
        if folder is None:
            return decode_shard(shard, transform)
        path = folder / f"{_digest(preprocessing, shard)}.safetensors"
        with file_lock(path.with_suffix(".lock"), wait_s=self._lock_wait_s) as is_held:
            found = _load(path, shard)
            if found is None:
                found = decode_shard(shard, transform)
                if is_held:
                    self._keep(path, found)
        return found

    def _usable_folder(self) -> Path | None:
        if self._max_bytes <= 0:
            return None
        try:
            return make_private(self._folder or user_folder(FOLDER))
        except UnsafeFolderError as error:
            if not self._is_warned:
                log.warning("decoded images are not kept: %s; set TMPDIR to another folder", error)
            self._is_warned = True
            return None

    def _keep(self, path: Path, decoded: DecodedShard) -> None:
        # A shard with a failed image is read again each time: its fault may be mended meanwhile.
        if decoded.images is None or decoded.failed:
            return
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            if not self._has_room(path.parent, decoded.images.nbytes):
                return
            images = decoded.images.contiguous()
            save_file({"images": images}, part, metadata={"crc32": _checksum(images)})
            part.replace(path)
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            log.warning("decoded images are not kept: %s", error)

    def _has_room(self, folder: Path, n_bytes: int) -> bool:
        """Tell whether `n_bytes` more fit, after deleting stale entries.

        Never more than half of what the disk has free.
        """
        used, time_s = 0, time.time()
        for entry in folder.iterdir():
            try:
                found = entry.lstat()
                if not (ENTRY.fullmatch(entry.name) and stat.S_ISREG(found.st_mode)):
                    continue
                if time_s - found.st_mtime > STALE_S:
                    entry.unlink(missing_ok=True)
                else:
                    used += found.st_size
            except FileNotFoundError:
                continue
        free = shutil.disk_usage(folder).free
        return used + n_bytes <= self._max_bytes and 2 * n_bytes <= free


def _digest(preprocessing: str, shard: Shard) -> str:
    lines = [preprocessing, *(ref.sha256 for ref in shard.images)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _load(path: Path, shard: Shard) -> DecodedShard | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            images = file.get_tensor("images")
            if (file.metadata() or {}).get("crc32") != _checksum(images):
                return None
        os.utime(path)
    except (OSError, SafetensorError):
        return None
    return DecodedShard(images, shard.images, (), n_decoded=0)


def _checksum(images: Tensor) -> str:
    return f"{zlib.crc32(images.view(torch.uint8).numpy().data):08x}"
