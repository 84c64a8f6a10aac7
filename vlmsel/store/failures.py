"""Failed cells: one JSON file per cell, with the reason and how often it was tried."""

import logging
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import polars as pl

from vlmsel.redaction import redact
from vlmsel.store.cells import cell_folder, cell_stem, settings_folder
from vlmsel.store.files import READERS
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import CellId, decode_model_folder, decode_stem
from vlmsel.store.notes import read_note, seal_note
from vlmsel.store.os_errors import DeniedError, MissingFileError

log = logging.getLogger(__name__)

FAILURES = "failures"
SUFFIX = ".json"

COLUMNS = {
    "model": pl.String,
    "pretrained": pl.String,
    "task": pl.String,
    "key": pl.String,
    "kind": pl.String,
    "reason": pl.String,
    "attempts": pl.Int64,
}


@dataclass(frozen=True)
class FailureLog:
    """The ``failures/`` part of a store."""

    folder: Folder

    def add(self, cell: CellId, reason: str, kind: str) -> None:
        """Write the reason of the latest attempt and count one more."""
        folder, name = _place(cell)
        known = name in self.folder.names(folder)
        attempts = self._read(f"{folder}/{name}")[2] if known else 0
        record = {"kind": kind, "reason": redact(reason), "attempts": attempts + 1}
        self.folder.write_atomic(f"{folder}/{name}", seal_note(record))

    def forget(self, cell: CellId) -> None:
        """Delete the note of a cell that is measured now, where the account may delete.

        A note that stays says nothing: `frame` passes over cells that are measured.
        """
        folder, name = _place(cell)
        if name in self.folder.names(folder):
            with suppress(DeniedError):
                self.folder.delete(f"{folder}/{name}")

    def frame(
        self, kind: str, settings_digest: str, measured: Callable[[], Container[CellId]]
    ) -> pl.DataFrame:
        """All failures of the settings that were not measured since, sorted.

        Args:
            kind: of the measurement.
            settings_digest: which settings.
            measured: lists the measured cells; asked only if there are failures.
        """
        paths = dict(self._walk(kind, settings_digest))
        if paths:
            # Another driver may have measured it between its check and its note.
            done = measured()
            paths = {cell: path for cell, path in paths.items() if cell not in done}
        with ThreadPoolExecutor(READERS) as pool:
            records = list(pool.map(self._read_if_there, paths.values()))
        rows = [
            (cell.model, cell.pretrained, cell.task, cell.key, *record)
            for cell, record in zip(paths, records, strict=True)
            if record is not None
        ]
        return pl.DataFrame(rows, schema=COLUMNS, orient="row").sort(
            "model", "pretrained", "task", "key"
        )

    def _walk(self, kind: str, settings_digest: str) -> Iterator[tuple[CellId, str]]:
        for path in self.folder.files(f"{FAILURES}/{settings_folder(kind, settings_digest)}"):
            parent, _, name = path.rpartition("/")
            model = decode_model_folder(parent.rpartition("/")[2])
            found = decode_stem(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None
            if model is not None and found is not None:
                yield CellId(*model, *found, settings_digest, kind), path

    def _read_if_there(self, path: str) -> tuple[str, str, int] | None:
        with suppress(MissingFileError):
            return self._read(path)
        return None

    def _read(self, path: str) -> tuple[str, str, int]:
        try:
            record = read_note(self.folder.read(path))
            return str(record["kind"]), str(record["reason"]), int(record["attempts"])
        except (ValueError, KeyError, TypeError):
            reason = f"failed before; its note {path} is damaged: `--retry-failed` tries it again"
            log.warning("%s/%s", self.folder.address, reason)
            return "unknown", reason, 0


def _place(cell: CellId) -> tuple[str, str]:
    return f"{FAILURES}/{cell_folder(cell)}", f"{cell_stem(cell)}{SUFFIX}"
