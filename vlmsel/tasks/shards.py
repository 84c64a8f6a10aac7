"""Shards: the images to measure, in portions, and their bytes.

A task's images are ranked by the sha256 of their id: an order that depends on nothing else and that
a new image changes by one at most. The ranks are cut into fixed strata (the first 25, to 50, to
100, to 200 ...), so that a larger number of images measures the new ones only, and so that kinds of
measurement that want different numbers share their shards. Within a stratum the images are
portioned in the order of their ids, so that a shard touches few files, and cut by that sha256 too,
so that a new image changes the shards that it falls into or pushes over, and not all that follow.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from vlmsel.errors import TaskError
from vlmsel.tasks.decoder import MAX_IMAGE_BYTES
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index import TaskIndex
from vlmsel.tasks.json_lines import read_json_lines
from vlmsel.tasks.locations import open_source, reason
from vlmsel.tasks.outages import read_error
from vlmsel.tasks.parquets import read_parquet
from vlmsel.tasks.sources import Kind, kind_of
from vlmsel.tasks.tars import read_spans, read_tar

Reader = Callable[[str, set[str]], Iterator[tuple[str, bytes | TaskError]]]
# Its source is then read anew by the next run.
CHANGED = "damaged or changed since it was indexed"
FIRST_STRATUM = 25
SHARD_IMAGES, MOST_IMAGES = 32, 128
PACKED: dict[Kind, Reader] = {
    "tar": read_tar,
    "parquet": read_parquet,
    "jsonl": read_json_lines,
}


@dataclass(frozen=True)
class Shard:
    """A portion of a task's images, the unit of work; `number` (from 0) identifies nothing."""

    task: str
    number: int
    images: tuple[ImageRef, ...]


def plan_shards(
    index: TaskIndex,
    *,
    n_images: int | None,
    shard_images: int = SHARD_IMAGES,
    most_images: int = MOST_IMAGES,
) -> tuple[Shard, ...]:
    """Choose images and portion them out. Pure.

    Args:
        index: the task's images.
        n_images: how many to take, None for all; fewer where the task has fewer. A number within a
            stratum cuts it short.
        shard_images: the most images of a shard of the first strata.
        most_images: the most images of any shard; a stratum between the two numbers is one shard,
            since those that want so many images want what is cheap, where files cost more.

    Raises:
        TaskError: a number below one.
    """
    sizes = {"n_images": n_images, "shard_images": shard_images, "most_images": most_images}
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise TaskError(f"{name} must be at least 1, not {value}")
    chosen = rank_images(index)[:n_images]
    shards: list[Shard] = []
    for low, high in strata(len(chosen)):
        size = max(shard_images, min(most_images, high - low))
        for part in _portions(chosen[low:high], size):
            shards.append(Shard(index.task, len(shards), part))
    return tuple(shards)


def rank_images(index: TaskIndex) -> list[tuple[str, str, ImageRef]]:
    """(rank, id, image) in the order in which images are drawn.

    Those that are known to be unreadable come last, so that the next in order take their places.
    """
    order = sorted(
        (ref.image_id in index.unreadable, image_rank(ref.image_id), ref.image_id, ref)
        for ref in index.images
    )
    return [(rank, image_id, ref) for _, rank, image_id, ref in order]


def strata(n_images: int) -> list[tuple[int, int]]:
    """Half-open ranges of ranks, cut at `n_images`: (0, 25), (25, 50), (50, 100), (100, 200) ..."""
    bounds = [0, FIRST_STRATUM]
    while bounds[-1] < n_images:
        bounds.append(2 * bounds[-1])
    return [(low, min(high, n_images)) for low, high in pairwise(bounds) if low < n_images]


def _portions(
    ranked: list[tuple[str, str, ImageRef]], shard_images: int
) -> Iterator[tuple[ImageRef, ...]]:
    part: list[ImageRef] = []
    for rank, _, ref in sorted(ranked, key=itemgetter(1)):
        if part and len(ranked) > shard_images and _cut_before(rank, len(part), shard_images):
            yield tuple(part)
            part = []
        part.append(ref)
    if part:
        yield tuple(part)


def read_shard(shard: Shard) -> Iterator[tuple[ImageRef, bytes | TaskError]]:
    """Every image of the shard once: its bytes or why not; one pass over each source file."""
    by_source: dict[str, list[ImageRef]] = {}
    for ref in shard.images:
        by_source.setdefault(ref.source, []).append(ref)
    for source, refs in by_source.items():
        if kind_of(source) == "folder":
            yield from ((ref, _check(ref, _read_file(source))) for ref in refs)
        else:
            yield from _read_packed(source, refs)


def _read_packed(source: str, refs: list[ImageRef]) -> Iterator[tuple[ImageRef, bytes | TaskError]]:
    # Several questions may be about one picture.
    pending: dict[str, list[ImageRef]] = {}
    for ref in refs:
        pending.setdefault(ref.member or "", []).append(ref)
    why = TaskError("it is no longer in its source file")
    try:
        for member, data in _read_members(source, refs):
            for ref in pending.pop(member):
                yield ref, _check(ref, data)
    except TaskError as error:
        why = error
    for ref in (ref for same in pending.values() for ref in same):
        yield ref, _check(ref, why)


def _read_members(source: str, refs: list[ImageRef]) -> Iterator[tuple[str, bytes | TaskError]]:
    spans = {
        ref.member or "": (ref.offset, ref.size)
        for ref in refs
        if ref.offset is not None and ref.size is not None
    }
    if len(spans) == len({ref.member for ref in refs}):
        return read_spans(source, spans)
    return PACKED[kind_of(source)](source, {ref.member or "" for ref in refs})


def _read_file(source: str) -> bytes | TaskError:
    try:
        with open_source(source) as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except TaskError as error:
        return error
    except OSError as error:
        return read_error(reason(error), error)
    if len(data) > MAX_IMAGE_BYTES:
        return TaskError(f"more than {MAX_IMAGE_BYTES} bytes")
    return data


def _check(ref: ImageRef, data: bytes | TaskError) -> bytes | TaskError:
    if isinstance(data, TaskError):
        return type(data)(f"{ref.image_id}: {data}")
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        return TaskError(f"{ref.image_id}: {CHANGED}; run again")
    return data


def image_rank(image_id: str) -> str:
    """Sha256 of an image's id: an order that depends on nothing else."""
    return hashlib.sha256(image_id.encode()).hexdigest()


def _cut_before(rank: str, length: int, shard_images: int) -> bool:
    """Cut before about every (n/4)th rank, never under n/2 images, always at n."""
    divisor = max(1, shard_images // 4)
    return length >= shard_images or (length >= shard_images / 2 and int(rank, 16) % divisor == 0)
