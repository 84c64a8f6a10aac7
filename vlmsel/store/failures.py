"""Failed cells: one JSON file a cell, with the reason and how often it was tried."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import CellId, decode_model_folder, decode_name, encode_name, model_folder

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
        path = _folder(cell)
        known = f"{cell.key}{SUFFIX}" in self.folder.names(path)
        attempts = self._read(f"{path}/{cell.key}{SUFFIX}")[2] if known else 0
        record = {"kind": kind, "reason": reason, "attempts": attempts + 1}
        self.folder.write_atomic(
            f"{path}/{cell.key}{SUFFIX}", json.dumps(record, sort_keys=True).encode()
        )

    def forget(self, cell: CellId) -> None:
        """The cell is measured now."""
        path = _folder(cell)
        if f"{cell.key}{SUFFIX}" in self.folder.names(path):
            self.folder.delete(f"{path}/{cell.key}{SUFFIX}")

    def frame(self, settings_digest: str, is_measured: Callable[[CellId], bool]) -> pl.DataFrame:
        """All failures of the settings that were not measured since, sorted."""
        rows: list[tuple[object, ...]] = []
        for path in self.folder.files(f"{FAILURES}/{settings_digest}"):
            parts = path.split("/")
            model = (
                decode_model_folder(parts[2]) if len(parts) == 5 and path.endswith(SUFFIX) else None
            )
            if model is None:
                continue
            cell = CellId(
                *model, decode_name(parts[3]), parts[4].removesuffix(SUFFIX), settings_digest
            )
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


def _folder(cell: CellId) -> str:
    model = model_folder(cell.model, cell.pretrained)
    return f"{FAILURES}/{cell.settings}/{model}/{encode_name(cell.task)}"
