"""Images that can be read, checked before models are loaded, which takes long."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vlmsel.cache import cache_dir, write_atomically
from vlmsel.documents import read_json
from vlmsel.errors import ImageError, TaskError, UnavailableError
from vlmsel.outside_names import readable
from vlmsel.redaction import redact
from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index import TaskIndex
from vlmsel.tasks.shards import CHANGED, FIRST_STRATUM, Shard, rank_images, read_shard

log = logging.getLogger(__name__)

# So many times the number of images are looked at before it is given up to find enough.
PATIENCE = 4


def with_readable_first(
    index: TaskIndex, *, n_images: int = FIRST_STRATUM, cache: Path | None = None
) -> TaskIndex:
    """The index with those of its first images that do not decode drawn last.

    So one broken picture of 27 costs nothing: 25 are asked for, and the next takes its place.
    Decodes the first images once; what came of it is remembered by their checksums.

    Args:
        index: of a task.
        n_images: how many first images are to be readable, if there are so many.
        cache: folder for what was found, by default in the user's cache.
    """
    refs = [ref for _, _, ref in rank_images(index)]
    if len(refs) <= n_images:
        return index
    note = (cache or cache_dir() / "tasks") / "readable" / f"{_digest(refs[:n_images])}.json"
    known = _read_remembered(note)
    found: dict[str, str] = {}
    bad: dict[str, str] = {}
    start, end = 0, n_images
    while start < end <= min(len(refs), PATIENCE * n_images):
        found |= _reasons(index.task, refs[start:end], known | found)
        broken = {ref.image_id: found[ref.sha256] for ref in refs[start:end] if _is_bad(ref, found)}
        bad |= broken
        start, end = end, end + len(broken)
    if found.items() - known.items():
        with suppress(OSError):
            write_atomically(note, json.dumps(known | found).encode())
    if not bad:
        return index
    image_id, reason = next(iter(bad.items()))
    summary = f"{len(bad)} image(s) that cannot be decoded; the first, {image_id}: {reason}"
    log.warning("task '%s': the next images take the places of %s", index.task, summary)
    return replace(index, passed_over=(*index.passed_over, summary), unreadable=frozenset(bad))


def _reasons(task: str, refs: Sequence[ImageRef], known: Mapping[str, str]) -> dict[str, str]:
    """Find why images do not decode, by checksum; empty for one that does.

    What cannot be read now is left out: it may be later.
    """
    found = {ref.sha256: known[ref.sha256] for ref in refs if ref.sha256 in known}
    unknown = tuple(ref for ref in refs if ref.sha256 not in known)
    for ref, data in read_shard(Shard(task, 0, unknown)):
        try:
            if isinstance(data, TaskError):
                raise data
            decode_image(data)
            found[ref.sha256] = ""
        except (TaskError, ImageError) as error:
            if isinstance(error, UnavailableError) or CHANGED in str(error):
                continue
            reason = str(error).removeprefix(f"{ref.image_id}: ")
            found[ref.sha256] = readable(redact(reason))
    return found


def _is_bad(ref: ImageRef, found: Mapping[str, str]) -> bool:
    return bool(found.get(ref.sha256))


def _digest(refs: Sequence[ImageRef]) -> str:
    return hashlib.sha256("\n".join(ref.sha256 for ref in refs).encode()).hexdigest()


def _read_remembered(note: Path) -> dict[str, str]:
    try:
        known = read_json(note)
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {key: value for key, value in known.items() if isinstance(value, str)}
