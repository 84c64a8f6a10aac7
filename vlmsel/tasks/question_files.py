"""Files of multiple-choice questions, and the images of a task that they ask about."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmsel.errors import TaskError
from vlmsel.outside_names import readable
from vlmsel.tasks.json_lines import read_objects
from vlmsel.tasks.locations import display, open_source, reason
from vlmsel.tasks.outages import read_error
from vlmsel.tasks.question_rows import (
    IMAGE,
    TEXT_COLUMNS,
    QuestionRow,
    number_rows,
    picture_columns,
)
from vlmsel.tasks.questions import ChoiceQuestion, TaskQuestions
from vlmsel.tasks.sources import Sources, find_sources, kind_of
from vlmsel.tasks.task_catalog import TaskSpec

if TYPE_CHECKING:
    from vlmsel.tasks.image_ref import ImageRef

# What a row without a picture is indexed as.
NO_PICTURE = hashlib.sha256(b"").hexdigest()
BATCH_ROWS = 1024


@dataclass(frozen=True)
class QuestionedImages:
    """Questions with their pictures.

    Attributes:
        refs: a picture per question, under the question's id; several may be of one picture.
        questions: by that id.
        passed_over: questions without a picture, in a phrase; empty where there are none.
    """

    refs: tuple["ImageRef", ...]
    questions: TaskQuestions
    passed_over: tuple[str, ...] = ()


def ask_about(spec: TaskSpec, refs: Sequence["ImageRef"]) -> QuestionedImages:
    """Join the questions of a task with its images.

    Args:
        spec: of the task, with `questions`.
        refs: its images: the pictures that the questions' files hold, or those of its folder.

    Raises:
        TaskError: a file cannot be read, a row is no multiple-choice question, two have one id, or
            none has a picture.
    """
    assert spec.questions is not None
    sources = find_sources(spec.questions)
    if sources.kind not in ("parquet", "jsonl"):
        raise TaskError(
            f"task '{spec.name}': questions are read from *.parquet and *.jsonl, not from "
            f"{display(spec.questions)}"
        )
    pictures = _Pictures(spec, refs)
    found: dict[str, tuple[ImageRef, ChoiceQuestion]] = {}
    missing: list[str] = []
    n_options = 0
    for name, row in _rows(sources, with_names=spec.images != spec.questions):
        image_id = _item_id(sources, name, row)
        n_options = max(n_options, len(row.question.options))
        ref = pictures.of(sources, name, row)
        if ref is None:
            missing.append(f"{image_id}{f' ({row.picture[:80]})' if row.picture else ''}")
            continue
        if image_id in found:
            raise TaskError(f"task '{spec.name}': two of its questions have the id '{image_id}'")
        found[image_id] = (replace(ref, image_id=image_id, label=row.label), row.question)
    notes = _explain_lacking(spec, missing, len(found))
    items = {image_id: question for image_id, (_, question) in sorted(found.items())}
    questions = TaskQuestions(items, spec.answers, n_options)
    return QuestionedImages(tuple(ref for ref, _ in found.values()), questions, notes)


class _Pictures:
    """The pictures of a task by name, or by the row that holds them."""

    def __init__(self, spec: TaskSpec, refs: Sequence["ImageRef"]) -> None:
        self._embedded = spec.images == spec.questions
        self._refs: Mapping[str, ImageRef] = {ref.image_id: ref for ref in refs}

    def of(self, sources: Sources, name: str, row: QuestionRow) -> "ImageRef | None":
        if self._embedded:
            key = f"{name}/{row.row}" if sources.pattern else str(row.row)
            ref = self._refs.get(readable(key))
            return None if ref is None or ref.sha256 == NO_PICTURE else ref
        return None if row.picture is None else self._refs.get(row.picture.removeprefix("./"))


def _explain_lacking(spec: TaskSpec, missing: Sequence[str], n_found: int) -> tuple[str, ...]:
    if not missing and not n_found:
        raise TaskError(f"task '{spec.name}': no question in {display(spec.questions or '')}")
    if not missing:
        return ()
    if not n_found:
        raise TaskError(
            f"task '{spec.name}': none of its {len(missing)} questions has an image; the first: "
            f"{missing[0]}"
        )
    return (f"{len(missing)} question(s) without an image; the first: {missing[0]}",)


def _item_id(sources: Sources, name: str, row: QuestionRow) -> str:
    item = row.own_id if row.own_id is not None else str(row.row)
    return readable(f"{name}/{item}" if sources.pattern else item)


def _rows(sources: Sources, *, with_names: bool) -> Iterator[tuple[str, QuestionRow]]:
    """Name of the file and row, in order; names of pictures only where they are asked for."""
    for file in sources.files:
        is_parquet = kind_of(file.uri) == "parquet"
        rows = _parquet_rows(file.uri, with_names) if is_parquet else read_objects(file.uri)
        for row in number_rows(rows, display(file.uri)):
            yield file.name, row


def _parquet_rows(uri: str, with_names: bool) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file without its pictures.

    Raises:
        TaskError: it cannot be read, or has no column `question`.
    """
    with open_source(uri) as stream:
        try:
            with pq.ParquetFile(stream) as file:
                names = _columns(uri, file.schema_arrow, with_names)
                for batch in file.iter_batches(BATCH_ROWS, columns=names):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            msg = f"{display(uri)} is no readable Parquet: {reason(error)}"
            raise read_error(msg, error) from None


def _columns(uri: str, schema: pa.Schema, with_names: bool) -> list[str]:
    if "question" not in schema.names:
        shown = ", ".join(schema.names)[:200]
        raise TaskError(f"{display(uri)} has no column 'question'; its columns: {shown}")
    several = picture_columns(schema.names)
    if several or pa.types.is_list(_kind(schema, IMAGE)):
        name = several[0] if several else IMAGE
        raise TaskError(
            f"{display(uri)}: column '{name}' holds lists of pictures, or one of several; a "
            f"question is about one picture here, in column '{IMAGE}'"
        )
    names = [name for name in TEXT_COLUMNS if name in schema.names]
    kind = _kind(schema, IMAGE)
    if not with_names:
        return names
    if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
        names.append(f"{IMAGE}.path")
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        names.append(IMAGE)
    return names


def _kind(schema: pa.Schema, name: str) -> pa.DataType:
    return schema.field(name).type if name in schema.names else pa.null()
