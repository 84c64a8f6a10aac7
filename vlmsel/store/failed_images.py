"""Images that failed inside measured cells: one JSON note per file, so that a listing finds them.

The rows hold these reasons too, but to read half a million files for a handful of failed images
would cost minutes.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vlmsel.redaction import redact
from vlmsel.store.cells import cell_folder, settings_folder
from vlmsel.store.files import READERS
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import CellId
from vlmsel.store.notes import read_note, seal_note
from vlmsel.store.os_errors import MissingFileError

log = logging.getLogger(__name__)

FAILED_IMAGES = "failed-images"

ImageReasons = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FailedImages:
    """The ``failed-images/`` part of a store.

    A note is named after the file that it describes, digest included: whichever of two files of a
    cell counts, its own note does, whoever wrote which of them in whatever order.
    """

    folder: Folder

    def keep(self, cell: CellId, file: str, images: Sequence[tuple[str, str]]) -> None:
        """Note (image_id, reason) of the failed images of a cell's file, by its name."""
        pairs = [[image_id, redact(reason)] for image_id, reason in images]
        self.folder.write_atomic(f"{_notes(cell)}/{_note(file)}", seal_note({"images": pairs}))

    def forget(self, cell: CellId, file: str) -> None:
        """The file has gone."""
        if _note(file) in self.folder.names(_notes(cell)):
            self.folder.delete(f"{_notes(cell)}/{_note(file)}")

    def of(self, cell: CellId, file: str) -> ImageReasons:
        """(image_id, reason) of the failed images of a cell's file, by its name."""
        is_noted = _note(file) in self.folder.names(_notes(cell))
        return self._read(f"{_notes(cell)}/{_note(file)}") if is_noted else ()

    def of_files(self, files: Mapping[CellId, str]) -> dict[CellId, ImageReasons]:
        """The notes of measured cells.

        Args:
            files: path or name of the file that counts for each cell.
        """
        tops = {settings_folder(cell.kind, cell.settings) for cell in files}
        stored = {path for top in tops for path in self.folder.files(f"{FAILED_IMAGES}/{top}")}
        if not stored:
            return {}
        paths = {
            cell: f"{_notes(cell)}/{_note(file.rpartition('/')[2])}" for cell, file in files.items()
        }
        found = {cell: path for cell, path in paths.items() if path in stored}
        with ThreadPoolExecutor(READERS) as pool:
            notes = dict(zip(found, pool.map(self._read, found.values()), strict=True))
        return {cell: images for cell, images in notes.items() if images}

    def _read(self, path: str) -> ImageReasons:
        try:
            images = read_note(self.folder.read(path))["images"]
            return tuple((str(image_id), str(reason)) for image_id, reason in images)
        except MissingFileError:
            # A retry did better since the listing.
            return ()
        except (ValueError, KeyError, TypeError):
            reason = f"the note {path} is damaged: `--retry-failed` measures its cell anew"
            log.warning("%s/%s", self.folder.address, reason)
            return (("unknown", reason),)


def _notes(cell: CellId) -> str:
    return f"{FAILED_IMAGES}/{cell_folder(cell)}"


def _note(file: str) -> str:
    return file.removesuffix(".parquet") + ".json"
