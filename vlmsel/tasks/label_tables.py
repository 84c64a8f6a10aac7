"""The labels of a task as a table: what folders, members or a column say, mended by a CSV file.

Labels are part of no key: to mend one, or to add one, measures nothing.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vlmsel.addresses import absolute_path
from vlmsel.errors import TaskError
from vlmsel.suggest import nearest
from vlmsel.tasks.folder_labels import plain_name
from vlmsel.tasks.index import TaskIndex
from vlmsel.tasks.prompts import class_prompts
from vlmsel.tasks.questions import LETTERS
from vlmsel.tasks.task_catalog import TaskSpec

COLUMNS = ("image", "label")
# Column with the order that picked an image, where that is no random draw.
PICKED_BY = "picked_by"
KNOWN_COLUMNS = (*COLUMNS, PICKED_BY)
RANDOM_ORDER = "random"
# Of an image in none of the classes.
OUTSIDE = -1
# What a person writes for an image of none of the classes.
NO_CLASS = "none"
SEPARATORS = (",", ";", "|")
SCHEMA = {"image_id": pl.String, "label": pl.Int32}
MAX_FILE_BYTES = 256 * 2**20


def label_table(spec: TaskSpec, index: TaskIndex) -> pl.DataFrame:
    """The labelled images of a task.

    Args:
        spec: the task; its `labels` file, where it names one, wins over what the images say.
        index: its images.

    Returns:
        image_id and label (number of the class name), one row per labelled image, sorted.

    Raises:
        TaskError: the file cannot be read, or names an image or a class that the task does not
            have, or an image twice; with the line.
    """
    labels = {ref.image_id: ref.label for ref in index.images if ref.label is not None}
    if spec.labels is not None:
        file = absolute_path(spec.labels, f"task '{spec.name}': labels", TaskError)
        labels |= read_labels(file, spec, index)
    return pl.DataFrame(sorted(labels.items()), schema=SCHEMA, orient="row")


def read_labels(
    path: Path, spec: TaskSpec, index: TaskIndex, *, outside: str | None = None
) -> dict[str, int]:
    """Labels by image id, from a CSV file with the columns image and label.

    Args:
        path: the file.
        spec: the task.
        index: its images.
        outside: label of an image in none of the classes, which gets `OUTSIDE`; none if None.

    Raises:
        TaskError: see `label_table`.
    """
    label_of = _labels_by_name(spec)
    found: dict[str, int] = {}
    for where, image, name in _rows_of_images(path, spec, index):
        label = label_of.get(plain_name(name))
        if label is None and outside is not None and plain_name(name) == plain_name(outside):
            found[image] = OUTSIDE
            continue
        if plain_name(name) in label_of and label is None:
            raise TaskError(f"{where}: several classes are named '{name}', so it is no label")
        if label is None and any(mark in name for mark in SEPARATORS):
            raise TaskError(
                f"{where}: '{name}' is no class; an image has one label here, a task of several "
                "labels an image is no classification"
            )
        if label is None:
            hint = nearest(name, list(label_of), n=1) or f"; the first is '{next(iter(label_of))}'"
            raise TaskError(f"{where}: no class is named '{name}'{hint}")
        if index.questions is not None:
            n_options = len(index.questions.items[image].options)
            if label >= n_options:
                raise TaskError(
                    f"{where}: the question has no option '{name}'; its options are A to "
                    f"{LETTERS[n_options - 1]}"
                )
        found[image] = label
    return found


@dataclass(frozen=True)
class LabelMarks:
    """Contents of a labels file beside images and labels.

    Attributes:
        orders: names in the column `PICKED_BY`, each once.
        others: further columns.
    """

    orders: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def picked_by(self) -> str | None:
        """Orders that picked images, where that was no random draw."""
        picked = [name for name in self.orders if name != RANDOM_ORDER]
        return ", ".join(picked) or None


def read_marks(path: Path) -> LabelMarks:
    """Read what a labels file holds beside images and labels.

    Raises:
        TaskError: the file cannot be read.
    """
    orders: dict[str, None] = {}
    others: dict[str, None] = {}
    for _, row in _records(path):
        # Cells beyond the head are under None.
        others |= {name or "(without a name)": None for name in row if name not in KNOWN_COLUMNS}
        name = (row.get(PICKED_BY) or "").strip()
        if name:
            orders[name] = None
    return LabelMarks(tuple(orders), tuple(others))


def read_class_names(
    path: Path, spec: TaskSpec, index: TaskIndex, *, outside: str | None = None
) -> dict[str, str]:
    """Class names by image id from such a file, of a task that has no class names of its own.

    Args:
        path: of the file.
        spec: of the task.
        index: its images.
        outside: word for an image of none of the classes, which is left out.

    Raises:
        TaskError: the file cannot be read, holds no labels, or names an image that the task does
            not have, or an image twice; with the line.
    """
    no_class = None if outside is None else plain_name(outside)
    found = {
        image: name.strip()
        for _, image, name in _rows_of_images(path, spec, index)
        if plain_name(name) != no_class
    }
    if not found:
        raise _no_labels_error(path, spec)
    return found


def _rows_of_images(path: Path, spec: TaskSpec, index: TaskIndex) -> Iterator[tuple[str, str, str]]:
    """Row number, image and label; every image is the task's, and comes once.

    Raises:
        TaskError: an image is not the task's or comes twice, or there is no row.
    """
    known = {ref.image_id for ref in index.images}
    seen: set[str] = set()
    for line, image, name in _rows(path):
        where = f"task '{spec.name}': {path}, line {line}"
        if image not in known:
            hint = nearest(image, known, n=1) if len(known) <= MANY_IMAGES else ""
            raise TaskError(f"{where}: the task has no image '{image}'{hint}")
        if image in seen:
            raise TaskError(f"{where}: image '{image}' comes twice; keep one row")
        seen.add(image)
        yield where, image, name
    if not seen:
        raise _no_labels_error(path, spec)


def _no_labels_error(path: Path, spec: TaskSpec) -> TaskError:
    return TaskError(f"task '{spec.name}': {path} holds no labels")


# Of more names the nearest is not looked for: it would take minutes.
MANY_IMAGES = 20_000


def _labels_by_name(spec: TaskSpec) -> dict[str, int | None]:
    """Labels by plain name; None for a name that several classes have (ImageNet has two such)."""
    found: dict[str, int | None] = {}
    names = LETTERS if spec.questions is not None else class_prompts(spec).classnames
    for label, name in enumerate(names):
        found[plain_name(name)] = None if plain_name(name) in found else label
    return found


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, image and label of every row.

    Raises:
        TaskError: no such file, another layout, another encoding.
    """
    for line, row in _records(path):
        image, label = row["image"], row["label"]
        if not image or label is None or not label.strip():
            raise TaskError(f"labels {path}, line {line}: a row needs an image and a label")
        yield line, image, label


def _records(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Line and cells of every row; raises as `_rows`."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TaskError(f"labels {path}: more than {MAX_FILE_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise TaskError(
                    f"labels {path}: no column {' and '.join(missing)}; the first line must be "
                    "image,label"
                )
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise TaskError(f"labels {path}: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise TaskError(f"labels {path}: not UTF-8 text; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise TaskError(f"labels {path}: not a CSV file: {error}") from None
