"""Failed cells: one JSON file a cell, with the reason and how often it was tried."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import CellId, decode_model_folder, decode_stem, model_folder, stem

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
        record = {"kind": kind, "reason": reason, "attempts": attempts + 1}
        data = json.dumps(record, sort_keys=True).encode()
        self.folder.write_atomic(f"{folder}/{name}", data)

    def forget(self, cell: CellId) -> None:
        """The cell is measured now."""
        folder, name = _place(cell)
        if name in self.folder.names(folder):
            self.folder.delete(f"{folder}/{name}")

    def frame(self, settings_digest: str, is_measured: Callable[[CellId], bool]) -> pl.DataFrame:
        """All failures of the settings that were not measured since, sorted."""
        rows: list[tuple[object, ...]] = []
        for path in self.folder.files(f"{FAILURES}/{settings_digest}"):
            parent, _, name = path.rpartition("/")
            model = decode_model_folder(parent.rpartition("/")[2])
            found = decode_stem(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None
            if model is None or found is None:
                continue
            cell = CellId(*model, *found, settings_digest)
            # Another driver may have measured it between our check and our note.
            if not is_measured(cell):
                rows.append((cell.model, cell.pretrained, cell.task, cell.key, *self._read(path)))
        return pl.DataFrame(rows, schema=COLUMNS, orient="row").sort(
            "model", "pretrained", "task", "key"
        )

    def _read(self, path: str) -> tuple[str, str, int]:
        try:
            record = json.loads(self.folder.read(path))
            return str(record["kind"]), str(record["reason"]), int(record["attempts"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.folder.address}/{path} is damaged: delete it, the cell is then missing"
            ) from error


def _place(cell: CellId) -> tuple[str, str]:
    folder = f"{FAILURES}/{cell.settings}/{model_folder(cell.model, cell.pretrained)}"
    return folder, f"{stem(cell.task, cell.key)}{SUFFIX}"
