"""Every image of a task: its id, its content's checksum, its label. Reads a file once."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vlmsel.cache import cache_dir
from vlmsel.errors import TaskError
from vlmsel.outside_names import readable
from vlmsel.redaction import describe_error, redact
from vlmsel.tasks.decoder import MAX_IMAGE_BYTES
from vlmsel.tasks.folder_labels import check_labels, folder_labels
from vlmsel.tasks.found_image import FoundImage, unread_digest
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index_cache import Scans, load_scans, save_scans, take_forgotten
from vlmsel.tasks.json_lines import scan_json_lines
from vlmsel.tasks.locations import display, open_source
from vlmsel.tasks.parquets import scan_parquet
from vlmsel.tasks.prompts import class_prompts, has_classnames
from vlmsel.tasks.question_files import ask_about
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.tasks.sources import SourceFile, Sources, find_sources, kind_of
from vlmsel.tasks.tars import scan_tar
from vlmsel.tasks.task_catalog import TaskSpec

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
# Share of copies from which they are worth a word.
MANY_COPIES = 0.05
# What was passed over is said once per task.
_warned: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class BadSource:
    """A source file that could not be read, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class TaskIndex:
    """All images of a task.

    Attributes:
        task: its name.
        images: by id.
        bad: source files that cannot be read; empty unless asked for (`strict=False`).
        passed_over: what lies beside the images and is not read, and what is odd about them, a
            phrase per kind.
        unreadable: ids of images that are known not to decode; they are drawn last.
        questions: what is asked about the images, by id, in a task of multiple-choice questions.
    """

    task: str
    images: tuple[ImageRef, ...]
    bad: tuple[BadSource, ...] = ()
    passed_over: tuple[str, ...] = ()
    unreadable: frozenset[str] = frozenset()
    questions: TaskQuestions | None = None


def index_task(spec: TaskSpec, *, cache: Path | None = None, strict: bool = True) -> TaskIndex:
    """List a task's images; quick where no file changed since the last time.

    Args:
        spec: the task.
        cache: folder for what was read, by default in the user's cache.
        strict: a source file that cannot be read is an error; else it is listed in `bad` and the
            others are used, as long as there is one.

    Raises:
        TaskError: no images (missing, empty, none), an unreadable source file, impossible labels.
    """
    sources = find_sources(spec.images)
    note = (cache or cache_dir() / "tasks") / f"{_sha256_text(spec.images)}.parquet"
    known = load_scans(note)
    changed = take_forgotten(sources.files)
    known = {source: images for source, images in known.items() if source not in changed}
    scans, bad = _scan_all(sources, known, note)
    bad += [BadSource(place, f"{display(place)} {reason}") for place, reason in sources.unread]
    if bad and (strict or not scans):
        more = f" (and {len(bad) - 1} more files)" if len(bad) > 1 else ""
        raise TaskError(f"task '{spec.name}': {bad[0].reason}{more}")
    images = tuple(sorted(_refs(spec, sources, scans), key=lambda ref: ref.image_id))
    passed_over = (*sources.passed_over, *_unread_members(scans))
    if not images:
        why = f": {'; '.join(passed_over)}" if passed_over else ""
        raise TaskError(f"task '{spec.name}': no image in {spec.images.partition('?')[0]}{why}")
    if spec.questions is not None:
        return _index_questions(spec, images, tuple(bad))
    copies = tuple(_copies(images))
    if (spec.name, spec.images) not in _warned:
        _warned.add((spec.name, spec.images))
        if passed_over:
            log.warning("task '%s': passed over %s", spec.name, "; ".join(passed_over))
        for phrase in copies:
            log.warning("task '%s': %s", spec.name, phrase)
    return TaskIndex(spec.name, images, tuple(bad), (*passed_over, *copies))


def _unread_members(scans: Scans) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for found in chain.from_iterable(scans.values()):
        if not found.is_image:
            counts[found.member or ""] += found.size or 0
    for suffix, number in sorted(counts.items()):
        yield f"{number} {suffix} member(s) of shards, a format that is not read: convert them"


def _index_questions(
    spec: TaskSpec, images: Sequence[ImageRef], bad: tuple[BadSource, ...]
) -> TaskIndex:
    """The index of a task of questions: an image per question, under the question's id."""
    asked = ask_about(spec, images)
    if asked.passed_over and (spec.name, spec.images) not in _warned:
        _warned.add((spec.name, spec.images))
        log.warning("task '%s': passed over %s", spec.name, "; ".join(asked.passed_over))
    refs = tuple(sorted(asked.refs, key=lambda ref: ref.image_id))
    return TaskIndex(spec.name, refs, bad, asked.passed_over, questions=asked.questions)


def _copies(images: Sequence[ImageRef]) -> Iterator[str]:
    n_copies = len(images) - len({ref.sha256 for ref in images})
    if n_copies and n_copies >= MANY_COPIES * len(images):
        yield f"{n_copies} of {len(images)} images are copies of others"


def _scan_all(sources: Sources, known: Scans, note: Path) -> tuple[Scans, list[BadSource]]:
    scans: Scans = {}
    bad: list[BadSource] = []
    for source in sources.files:
        try:
            scans[source] = known[source] if source in known else tuple(_scan(source))
        except TaskError as error:
            bad.append(BadSource(source.uri, redact(error)))
        except Exception as error:
            log.debug("where it failed", exc_info=error)
            reason = f"{display(source.uri)} cannot be read: {describe_error(error)}"
            bad.append(BadSource(source.uri, reason))
    if scans.keys() != known.keys():
        save_scans(note, scans)
    return scans, bad


def _scan(source: SourceFile) -> Iterable[FoundImage]:
    kind = kind_of(source.uri)
    if kind == "tar":
        return scan_tar(source.uri)
    if kind == "parquet":
        return scan_parquet(source.uri)
    if kind == "jsonl":
        return scan_json_lines(source.uri)
    if source.size > MAX_IMAGE_BYTES:
        return [FoundImage("", None, unread_digest(source.size), None)]
    digest = hashlib.sha256()
    with open_source(source.uri) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return [FoundImage("", None, digest.hexdigest(), None)]


def _refs(spec: TaskSpec, sources: Sources, scans: Scans) -> list[ImageRef]:
    pairs = [
        (source, found) for source, images in scans.items() for found in images if found.is_image
    ]
    ids = [_image_id(sources, source, found) for source, found in pairs]
    if len(set(ids)) < len(ids):
        raise TaskError(
            f"task '{spec.name}': {_explain_same_id(ids, [source for source, _ in pairs])}"
        )
    labels = [found.label for _, found in pairs]
    if has_classnames(spec):
        classnames = class_prompts(spec).classnames
        if sources.kind == "folder":
            labels = folder_labels(spec.name, ids, classnames)
        check_labels(spec.name, labels, classnames)
    return [
        ImageRef(image_id, found.sha256, source.uri, found.member, label, found.offset, found.size)
        for image_id, (source, found), label in zip(ids, pairs, labels, strict=True)
    ]


def _explain_same_id(ids: Sequence[str], sources: Sequence[SourceFile]) -> str:
    """Say which images have one id, and the way out."""
    first: dict[str, SourceFile] = {}
    for image_id, source in zip(ids, sources, strict=True):
        other = first.setdefault(image_id, source)
        if other is not source:
            return (
                f"{display(other.uri)} and {display(source.uri)} both give an image "
                f"'{image_id}': two of its files have one name; rename one"
            )
    return "two of its images have one name; rename one"


def _image_id(sources: Sources, source: SourceFile, found: FoundImage) -> str:
    if sources.kind == "folder":
        return readable(source.name)
    # By the pattern and not by the number of files, so that a new shard renames no image.
    return readable(f"{source.name}/{found.key}" if sources.pattern else found.key)


def _sha256_text(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()
