"""Commit of a cell: its file and the note of its failed images, in an order that survives kills."""

import logging
from collections.abc import Sequence

from vlmsel.store.failed_images import FailedImages, ImageReasons
from vlmsel.store.files import files_of_stem
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import CellId, file_name, stem
from vlmsel.store.os_errors import DeniedError

log = logging.getLogger(__name__)


def commit_cell(
    folder: Folder,
    cell: CellId,
    parent: str,
    data: bytes,
    *,
    failed: Sequence[tuple[str, str]],
    replace: bool,
) -> None:
    """Write a cell's file and its note, in an order that no kill can turn into a lie.

    The note comes first, for a note without its file means nothing. A cell that is there is left
    alone, unless `replace` and fewer images fail now: its older files then go, their notes last.

    Args:
        folder: the store.
        cell: which cell.
        parent: the folder of the cell's file.
        data: what the file holds.
        failed: (image_id, reason) of the images that failed.
        replace: take the place of a file that is there, if that is an improvement.
    """
    notes, stored = FailedImages(folder), _files(folder, cell, parent)
    if stored and not (replace and len(failed) < len(notes.of(cell, stored[0]))):
        return
    name = file_name(stem(cell.task, cell.key), data)
    if failed:
        notes.keep(cell, name, failed)
    elif name in stored:
        # These very bytes under a damaged note.
        notes.forget(cell, name)
    folder.write_atomic(f"{parent}/{name}", data)
    for old in stored:
        if old != name:
            try:
                folder.delete(f"{parent}/{old}")
                notes.forget(cell, old)
            except DeniedError:
                log.warning(
                    "%s/%s/%s is not replaced by its better retry: this account may not delete; "
                    "run the retry with one that may",
                    folder.address,
                    parent,
                    old,
                )


def failed_in_cell(folder: Folder, cell: CellId, parent: str) -> ImageReasons:
    """(image_id, reason) of the images that failed in a cell; none where it is not measured."""
    stored = _files(folder, cell, parent)
    return FailedImages(folder).of(cell, stored[0]) if stored else ()


def _files(folder: Folder, cell: CellId, parent: str) -> list[str]:
    """Names of a cell's files, the one that counts first."""
    return files_of_stem(folder.names(parent), stem(cell.task, cell.key))
