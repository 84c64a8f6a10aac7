"""The labels on disk: a CSV file that is whole at every moment, and what it alone cannot say.

    images.csv              image,label; one row per label, in the order in which labels came
    images.csv.session      whose images these are, classes that were added, what was put off
    .images.csv.lock        the process that works on them, and its address

A row of an order that is no random draw has a third column with its name.
"""

import csv
import fcntl
import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from vlmsel.addresses import absolute_address, is_address
from vlmsel.errors import StoreError, TaskError
from vlmsel.labelling.label_book import LabelBook
from vlmsel.labelling.picked_images import DEFAULT_ORDER
from vlmsel.outside_names import stored
from vlmsel.store.local_folder import LocalFolder
from vlmsel.store.owners import is_dead, this_process
from vlmsel.tasks.index import TaskIndex
from vlmsel.tasks.label_tables import (
    COLUMNS,
    NO_CLASS,
    OUTSIDE,
    PICKED_BY,
    read_labels,
    read_marks,
)
from vlmsel.tasks.task_catalog import TaskSpec

SESSION, LOCK = ".session", ".lock"
DIGEST_DIGITS = 6
# Where labels lie beside a store, and where a store in a bucket has no beside.
FOLDER, OWN_FOLDER = "labels", ".vlmsel"


class Session(BaseModel):
    """The file beside the labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    images: str
    added: tuple[str, ...] = ()
    skipped: dict[str, int] = {}
    order: str = DEFAULT_ORDER


class LockNote(BaseModel):
    """The process that works on some labels, as its lock file names it."""

    model_config = ConfigDict(frozen=True)

    pid: int
    owner: str
    address: str


@dataclass(frozen=True)
class LabelFiles:
    """The files of the labels of one folder.

    Attributes:
        path: of the CSV file.
        images: the folder, absolute.
        order: name of the order in which images are asked for.
    """

    path: Path
    images: str
    order: str = DEFAULT_ORDER

    def session(self) -> Session | None:
        """Read the file beside the labels; None where there is none.

        Raises:
            TaskError: it is damaged, or names other images or another order.
        """
        found = read_session(self.path)
        if found is None:
            return None
        if found.images != self.images:
            raise TaskError(
                f"labels {self.path} are of the images in {found.images}, not in {self.images}: "
                f"give another --out (or, if the folder was moved, delete "
                f"{self.path.name}{SESSION})"
            )
        if found.order != self.order:
            raise TaskError(
                f"labels {self.path} were begun in the order '{found.order}', and cannot go on in "
                f"'{self.order}': give --order {found.order}, or another --out"
            )
        return found

    def load(
        self,
        spec: TaskSpec,
        index: TaskIndex,
        images: tuple[str, ...],
        classes: tuple[str, ...],
        n_given: int,
    ) -> LabelBook:
        """Read the labels of earlier sessions.

        Args:
            spec: the task.
            index: its images.
            images: ids that may be asked for, in order.
            classes: names of all classes.
            n_given: how many of them are not of an earlier session.

        Raises:
            TaskError: the file cannot be read, names other images, classes or another order, or
                has columns that would be lost.
        """
        session = self.session()
        labels = {}
        if self.path.exists() and not _is_bare(self.path):
            self._check_marks()
            labels = read_labels(self.path, spec, index, outside=NO_CLASS)
        named = {x: None if n == OUTSIDE else classes[n] for x, n in labels.items()}
        skipped = {} if session is None else session.skipped
        return LabelBook(
            images=images,
            classes=classes,
            n_given=n_given,
            labels=named,
            skipped={x: n for x, n in skipped.items() if x in images and x not in named},
        )

    def _check_marks(self) -> None:
        """Refuse a file whose rows could not be written as they are.

        Raises:
            TaskError: they were picked in another order, or have further columns.
        """
        marks = read_marks(self.path)
        others = [name for name in marks.orders if name != self.order]
        if others:
            names = "', '".join(others)
            raise TaskError(
                f"labels {self.path} were picked in the order '{names}' (column {PICKED_BY}), and "
                f"cannot go on in '{self.order}': give --order {others[0]}, or another --out"
            )
        if marks.others:
            raise TaskError(
                f"labels {self.path} have columns that would be lost: {', '.join(marks.others)}; "
                f"give another --out, or a copy with image and label alone"
            )

    def save(self, book: LabelBook) -> None:
        """Write the labels; after a loss of power the old files are there, or the new ones.

        Raises:
            StoreError: they cannot be written.
        """
        session = Session(
            images=self.images, added=book.added, skipped=dict(book.skipped), order=self.order
        )
        folder = LocalFolder(self.path.parent)
        # First, so that a class that a label names is always known.
        folder.write_atomic(self.path.name + SESSION, session.model_dump_json(indent=1).encode())
        folder.write_atomic(self.path.name, format_labels(book, self.order).encode())


def format_labels(book: LabelBook, order: str = DEFAULT_ORDER) -> str:
    """Lay labels out as `vlmsel select --labels` reads them."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    more = () if order == DEFAULT_ORDER else (order,)
    rows.writerow([*COLUMNS, *([PICKED_BY] if more else [])])
    for image, name in book.labels.items():
        rows.writerow([image, NO_CLASS if name is None else name, *more])
    return text.getvalue()


def read_session(path: Path) -> Session | None:
    """Read the file beside some labels; None where there is none.

    Raises:
        TaskError: it is damaged.
    """
    beside = path.with_name(path.name + SESSION)
    try:
        return Session.model_validate_json(beside.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError):
        raise TaskError(
            f"{beside} is damaged or of another version: delete it; classes that were added must "
            "then be given with --classnames"
        ) from None


def locate_images(images: str) -> str:
    """Return where the images are, absolute."""
    return absolute_address(images, "images", TaskError)


def choose_path(store: str, images: str, name: str) -> Path:
    """Choose the file of a folder's labels: beside the store, named after the folder.

    Args:
        store: absolute folder or address.
        images: absolute folder or address.
        name: of the images.

    Raises:
        TaskError: it would lie among the images.
    """
    beside = Path(OWN_FOLDER).absolute() if is_address(store) else Path(store).parent
    folder, kept = beside / FOLDER, stored(name.replace("/", "_"))
    if not is_address(images) and folder.is_relative_to(images):
        raise TaskError(
            f"labels would be written to {folder}, among the images: give --out FILE, or a --store "
            "elsewhere"
        )
    path = folder / f"{kept}.csv"
    session = read_session(path)
    if session is None or session.images == images:
        return path
    digest = hashlib.sha256(images.encode(errors="surrogateescape")).hexdigest()[:DIGEST_DIGITS]
    return folder / f"{kept}-{digest}.csv"


class LabelLock:
    """A lock on some labels that dies with its process.

    Args:
        path: of the labels.
    """

    def __init__(self, path: Path) -> None:
        self._labels = path
        self._path = path.with_name(f".{path.name}{LOCK}")
        self._handle: int | None = None

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._handle = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise StoreError(
                f"labels {self._labels}: {error.strerror}; give --out FILE elsewhere"
            ) from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise self._held_error(self._note()) from None
        except OSError:
            # A disk without locks: the note alone tells.
            note = self._note()
            if note is not None and not is_dead(note.owner):
                self._close()
                raise self._held_error(note) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
        self._close()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def name(self, address: str) -> None:
        """Say where the page is, without its token."""
        assert self._handle is not None
        note = LockNote(pid=os.getpid(), owner=this_process(), address=address)
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, note.model_dump_json().encode(), 0)

    def _note(self) -> LockNote | None:
        try:
            return LockNote.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError, json.JSONDecodeError):
            return None

    def _held_error(self, note: LockNote | None) -> StoreError:
        who = "another process" if note is None else f"process {note.pid} at {note.address}"
        return StoreError(
            f"labels {self._labels} are being worked on by {who}: go on in that page, stop it "
            "(Ctrl-C in its terminal), or give another --out"
        )


def _is_bare(path: Path) -> bool:
    """True if a labels file has its head and no row, as after the last label was taken back."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sum(1 for line in file if line.strip()) <= 1
