"""Plan of a session of labelling: images, classes and the labels of earlier ones."""

from dataclasses import dataclass, replace
from pathlib import Path

from vlmsel.addresses import absolute_path
from vlmsel.api.answer import SHORTLIST, AnswerOptions, ReadyTarget, prepare_target
from vlmsel.api.known_zoo import KnownZoo
from vlmsel.errors import SettingsError, TaskError
from vlmsel.extras import has_extra, missing_extra
from vlmsel.labelling.label_book import LabelBook
from vlmsel.labelling.label_files import LabelFiles, choose_path, locate_images
from vlmsel.labelling.picked_images import DEFAULT_ORDER, find_page_order
from vlmsel.selection.orders import PickingOrder
from vlmsel.tasks.folder_labels import find_twins, plain_name
from vlmsel.tasks.task_catalog import TARGET_PREFIX


@dataclass(frozen=True)
class LabelPlan:
    """Plan of a session.

    Attributes:
        ready: the target with all its classes, no label read.
        files: of its labels.
        book: labels of earlier sessions.
        order: in which images are asked for.
        options: as they were said.
    """

    ready: ReadyTarget
    files: LabelFiles
    book: LabelBook
    order: PickingOrder
    options: AnswerOptions


def plan_labels(
    images: str | Path,
    zoo: KnownZoo,
    options: AnswerOptions,
    *,
    out: str | Path | None = None,
    order: str = DEFAULT_ORDER,
) -> LabelPlan:
    """Read images, classes and the labels of earlier sessions; nothing is written or run.

    Args:
        images: folder, tar or Parquet of images.
        zoo: of `known_zoo`.
        options: class names and limits; `labels` is not looked at.
        out: the labels' CSV file; by default beside the store, named after the images.
        order: name of the order in which images are asked for.

    Raises:
        TaskError: the images, class names or labels do not fit.
        SelectionError: an option is impossible, or there is no such order.
    """
    chosen_order = find_page_order(order)
    asked = replace(options, labels=None, labels_are_random=False, ignore_labels=True)
    if zoo.is_shipped and asked.shortlist is None:
        asked = replace(asked, shortlist=SHORTLIST)
    place = locate_images(str(images))
    ready = prepare_target(images, zoo, asked)
    given = ready.target.classnames
    if not given:
        raise TaskError(
            "labels need the names of the classes: give --classnames a,b,c, a file with one name a "
            "line, --prompts clip-benchmark:NAME, or a folder of class folders"
        )
    _check_twins(given)
    name = ready.target.spec.name.removeprefix(TARGET_PREFIX)
    path = (
        choose_path(zoo.store.uri, place, name)
        if out is None
        else absolute_path(out, "labels", TaskError)
    )
    if path.is_dir():
        raise TaskError(f"labels {path}: that is a folder; give --out FILE")
    files = LabelFiles(path, place, order)
    session = files.session()
    known = {plain_name(x) for x in given}
    added = () if session is None else session.added
    more = tuple(x for x in added if plain_name(x) not in known)
    if more:
        ready = with_classes(ready, (*given, *more))
    book = read_book(files, ready, len(given))
    return LabelPlan(ready, files, book, chosen_order, options)


def _check_twins(names: tuple[str, ...]) -> None:
    """Refuse classes of one name, whose labels could not be read back.

    Raises:
        TaskError: there are some; names them.
    """
    if twins := dict.fromkeys(find_twins(names)):
        raise TaskError(
            f"several classes have the same name, so that a label would not say which: "
            f"{', '.join(twins)}; give --classnames with names that differ (case and underscores "
            "do not count)"
        )


def read_book(files: LabelFiles, ready: ReadyTarget, n_given: int) -> LabelBook:
    """Labels of earlier sessions; what decoding found unreadable is passed over.

    Labels of images that would not be asked for stay: a file made by hand has such, and images
    that are added to a folder change which are looked at.
    """
    target = ready.target
    book = files.load(target.spec, target.index, target.order, target.classnames, n_given)
    asked_for = set(target.order)
    beyond = tuple(image for image in book.labels if image not in asked_for)
    book = replace(book, images=(*target.order, *beyond))
    reasons = dict(target.pictures.unreadable)
    for image in target.order:
        if image in reasons and image not in book.labels:
            book = book.pass_over(image, reasons[image])
    return book


def with_classes(ready: ReadyTarget, names: tuple[str, ...]) -> ReadyTarget:
    """The same target with other classes.

    Raises:
        TaskError: the names are impossible.
    """
    return prepare_target(ready.images, ready.zoo, name_classes(ready.options, names))


def name_classes(options: AnswerOptions, names: tuple[str, ...]) -> AnswerOptions:
    """The same options with the names of all classes."""
    # Prompts of a known task give the templates where there are no others.
    prompts = None if options.templates else options.prompts
    return replace(options, classnames=names, prompts=prompts)


def check_extra() -> None:
    """Refuse to start without the packages that serve the page.

    Raises:
        SettingsError: one is missing; says how to install it.
    """
    if not has_extra("label"):
        raise SettingsError(missing_extra("the label page", "label"))
