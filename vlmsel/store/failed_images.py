"""Images that failed inside measured cells: one JSON note a cell, so that a listing finds them.

The rows of a profile hold these reasons too, but an accuracy has one row, and to read half a
million files for a handful of failed images would cost minutes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from vlmsel.errors import StoreError
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import (
    CellId,
    decode_model_folder,
    decode_stem,
    file_name,
    model_folder,
    parse_file_name,
    stem,
)

FAILED_IMAGES = "failed-images"
SUFFIX = ".json"

ImageReasons = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FailedImages:
    """The ``failed-images/`` part of a store; a note without its measured cell means nothing."""

    folder: Folder

    def keep(self, cell: CellId, images: Sequence[tuple[str, str]]) -> None:
        """Note (image_id, reason) of a cell's failed images; without any, forget an older note."""
        folder, name = _place(cell)
        if images:
            data = json.dumps({"images": [list(pair) for pair in images]}, sort_keys=True)
            self.folder.write_atomic(f"{folder}/{name}", data.encode())
        elif name in self.folder.names(folder):
            self.folder.delete(f"{folder}/{name}")

    def of(self, cell: CellId) -> ImageReasons:
        """(image_id, reason) of a cell's failed images."""
        folder, name = _place(cell)
        return self._read(f"{folder}/{name}") if name in self.folder.names(folder) else ()

    def all(self, settings_digest: str) -> dict[CellId, ImageReasons]:
        """Every note of the settings."""
        found: dict[CellId, ImageReasons] = {}
        for path in self.folder.files(f"{FAILED_IMAGES}/{settings_digest}"):
            parent, _, name = path.rpartition("/")
            model = decode_model_folder(parent.rpartition("/")[2])
            place = decode_stem(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None
            if model is not None and place is not None:
                found[CellId(*model, *place, settings_digest)] = self._read(path)
        return found

    def _read(self, path: str) -> ImageReasons:
        try:
            images = json.loads(self.folder.read(path))["images"]
            return tuple((str(image_id), str(reason)) for image_id, reason in images)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.folder.address}/{path} is damaged: delete it; `--retry-failed` or "
                "`vlmsel status` then no longer know which images failed there"
            ) from error


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

    A new cell: note, then file, for a note without a file means nothing. A cell that is there is
    left alone, unless `replace` and fewer images fail now: file, then the old file goes, then the
    note; killed in between, the note says too much, never too little.

    Args:
        folder: the store.
        cell: which cell.
        parent: the folder of the cell's file.
        data: what the file holds.
        failed: (image_id, reason) of the images that failed.
        replace: take the place of a file that is there, if that is an improvement.
    """
    notes, start = FailedImages(folder), stem(cell.task, cell.key)
    parsed = {name: parse_file_name(name) for name in folder.names(parent)}
    there = [name for name, found in parsed.items() if found and found[0] == start]
    if there and not (replace and len(failed) < len(notes.of(cell))):
        return
    name = file_name(start, data)
    if not there:
        notes.keep(cell, failed)
    folder.write_atomic(f"{parent}/{name}", data)
    for old in there:
        if old != name:
            folder.delete(f"{parent}/{old}")
    if there:
        notes.keep(cell, failed)


def _place(cell: CellId) -> tuple[str, str]:
    folder = f"{FAILED_IMAGES}/{cell.settings}/{model_folder(cell.model, cell.pretrained)}"
    return folder, f"{stem(cell.task, cell.key)}{SUFFIX}"
