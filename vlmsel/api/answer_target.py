"""Target of an answer: its images in the order in which they are measured, classes and labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from vlmsel.addresses import absolute_address, absolute_path
from vlmsel.api.answer_options import AnswerOptions
from vlmsel.catalogs import first_problem
from vlmsel.errors import TaskError
from vlmsel.published.names import fold, load_names
from vlmsel.selection.zoo_answers import image_order
from vlmsel.tasks.class_folders import find_class_folders
from vlmsel.tasks.folder_labels import find_twins, plain_name
from vlmsel.tasks.index import TaskIndex, index_task
from vlmsel.tasks.label_tables import NO_CLASS, read_labels
from vlmsel.tasks.pictures import Pictures, look_at_pictures
from vlmsel.tasks.prompts import class_prompts
from vlmsel.tasks.shards import FIRST_STRATUM, plan_shards
from vlmsel.tasks.task_catalog import TARGET_PREFIX, TaskSpec, folder_task

# Unlabelled images that models answer on: more make labels worth little more.
ANSWERED_IMAGES = 200


@dataclass(frozen=True)
class TargetLabels:
    """The classes and labels of a target.

    Attributes:
        spec: the target, with its class names where they are known.
        index: its images.
        order: ids of the images that are looked at, in the order in which they are measured.
        labels: class number by image id.
        from_folders: whether the folders gave the class names.
        is_sorted: whether the folders gave the labels, too: of all images.
        classnames: empty where unknown.
        pictures: what decoding tells of the first images.
    """

    spec: TaskSpec
    index: TaskIndex
    order: tuple[str, ...]
    labels: Mapping[str, int]
    from_folders: bool
    classnames: tuple[str, ...]
    pictures: Pictures
    is_sorted: bool = False


def read_target(images: str | Path, asked: AnswerOptions) -> TargetLabels:
    """Read the images, their classes and their labels; no model is run.

    Raises:
        TaskError: there is no image, the class names are impossible, or the labels do not fit.
    """
    bare = folder_task(images)
    bare = bare.model_copy(update={"name": TARGET_PREFIX + bare.name})
    if asked.questions is not None:
        return _read_questions(bare, asked)
    index = index_task(bare, strict=False)
    names, from_folders = asked.classnames, False
    if names is None and asked.prompts is None:
        names = find_class_folders(bare.images, [ref.image_id for ref in index.images]) or None
        from_folders = names is not None
    _check_names(names)
    _check_kind(asked.prompts)
    if asked.templates and not (names or asked.prompts):
        raise TaskError("templates need the names of the classes: give --classnames a,b,c")
    spec = _spec(bare, classnames=names, prompts=asked.prompts, templates=asked.templates)
    classnames = class_prompts(spec).classnames if names or asked.prompts else ()
    labels: dict[str, int] = {}
    if classnames:
        index = index_task(spec, strict=False)
        labels = _labels_of(spec, index, asked)
    elif asked.labels is not None:
        raise TaskError(
            f"labels {asked.labels} need the names of the classes: give --classnames a,b,c, a file "
            "with one name per line, or --prompts clip-benchmark:NAME"
        )
    return TargetLabels(
        spec,
        index,
        _first_images(index),
        {} if asked.ignore_labels else labels,
        from_folders,
        classnames,
        look_at_pictures(plan_shards(index, n_images=FIRST_STRATUM), len(index.images)),
        is_sorted=from_folders and asked.labels is None,
    )


def _read_questions(bare: TaskSpec, asked: AnswerOptions) -> TargetLabels:
    """A target of multiple-choice questions; labels are the answers that the file gives."""
    if asked.classnames or asked.prompts or asked.templates:
        raise TaskError("questions take the place of class names: leave those out")
    address = absolute_address(asked.questions or "", "questions", TaskError)
    spec = _spec(bare, questions=address, answers=asked.answers)
    index = index_task(spec, strict=False)
    assert index.questions is not None
    labels = {} if asked.ignore_labels else _labels_of(spec, index, asked)
    pictures = look_at_pictures(plan_shards(index, n_images=FIRST_STRATUM), len(index.images))
    names = index.questions.classnames
    return TargetLabels(spec, index, _first_images(index), labels, False, names, pictures)


def _labels_of(spec: TaskSpec, index: TaskIndex, asked: AnswerOptions) -> dict[str, int]:
    """Labels of the file that is given, or else of the images."""
    if asked.labels is None:
        return {ref.image_id: ref.label for ref in index.images if ref.label is not None}
    path = absolute_path(asked.labels, "labels", TaskError)
    return read_labels(path, spec, index, outside=NO_CLASS)


def _first_images(index: TaskIndex) -> tuple[str, ...]:
    """Ids of the images that models answer on."""
    order = sorted((ref.image_id for ref in index.images), key=lambda x: (image_order(x), x))
    return tuple(order[:ANSWERED_IMAGES])


def _spec(bare: TaskSpec, **update: object) -> TaskSpec:
    """The target with its classes, checked as an entry of a catalog is."""
    try:
        return TaskSpec.model_validate({**bare.model_dump(), **update})
    except ValidationError as error:
        raise TaskError(first_problem(error, TaskSpec)) from None


def _check_names(names: tuple[str, ...] | None) -> None:
    if names is None:
        return
    if twins := find_twins(names):
        first = plain_name(twins[0])
        raise TaskError(f"the class name '{first}' comes twice; name every class once")
    if len(names) < 2:
        only = ", ".join(names)
        raise TaskError(f"there is one class, '{only}'; a choice of models needs 2 or more")


def _check_kind(prompts: str | None) -> None:
    """Refuse prompts of no known task, or of one that published tables call no classification."""
    if prompts is None:
        return
    catalog, _, name = prompts.partition(":")
    if catalog != "clip-benchmark" or not name:
        raise TaskError(f"prompts '{prompts}' name no known task: write clip-benchmark:NAME")
    task = load_names().spellings().get(fold(name), "")
    kind = load_names().tasks[task].kind if task else "classification"
    if kind != "classification":
        raise TaskError(
            f"'{name}' is a {kind} task: models are ranked for classifications, which have class "
            "names; give --classnames for one"
        )
