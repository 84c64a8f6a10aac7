"""One store for every kind of measurement: a Parquet file per cell, whole or absent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from vlmsel.addresses import absolute_address
from vlmsel.errors import RowsError, StoreError
from vlmsel.measurements.kinds import measurement_class
from vlmsel.measurements.measurement import Measurement
from vlmsel.measurements.row_checks import check_rows
from vlmsel.store import known_settings
from vlmsel.store.cell_commit import commit_cell, failed_in_cell
from vlmsel.store.cells import cell_files, cell_folder, cell_stem, walk_cells
from vlmsel.store.failed_images import FailedImages, ImageReasons
from vlmsel.store.failures import FailureLog
from vlmsel.store.files import QUARANTINE, files_of_stem, quarantine_corrupt, read_sound
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import CellId
from vlmsel.store.packed_folder import PackedFolder
from vlmsel.store.packed_rows import quarantine_corrupt_packs, read_packed
from vlmsel.store.row_bytes import from_bytes, to_bytes

# Folders of the layout before there was one store for all kinds.
OLD_FOLDERS = frozenset({"profiles", "accuracies"})


@dataclass(frozen=True)
class Scan:
    """Rows and faults read from some cells.

    Attributes:
        rows: of the readable cells, failed images among them (`reason` is not null there).
        corrupt: cells whose file does not hash to its name; it is left where it is.
    """

    rows: pl.DataFrame
    corrupt: tuple[CellId, ...]

    @property
    def measured(self) -> pl.DataFrame:
        """Rows that have values."""
        return self.rows.filter(pl.col("reason").is_null()).drop("reason")


class Store:
    """Measured and failed cells of every kind under one address.

    Writing is atomic and idempotent, so any number of writers may work on one store; the layout and
    the guarantees are in docs/internals/store.md.

    Args:
        uri: local folder, ``file://``, ``s3://`` or ``gs://bucket/prefix``; made on first write.

    Attributes:
        uri: the same, a local path made absolute.
    """

    def __init__(self, uri: str | Path) -> None:
        self._folder = PackedFolder(open_folder(uri))
        # Absolute, so that it means the same in a worker of another folder.
        self.uri = absolute_address(uri, "store", StoreError)
        self._failures = FailureLog(self._folder)
        self._settings_written: set[str] = set()

    @property
    def address(self) -> str:
        """Address of the store, without credentials."""
        return self._folder.address

    @property
    def folder(self) -> PackedFolder:
        """The files below, for notes that are no cells."""
        return self._folder

    def is_old(self) -> bool:
        """True if it was written before there was one store for all kinds."""
        return not OLD_FOLDERS.isdisjoint(self._folder.folders(""))

    def write(
        self, cell: CellId, measurement: Measurement, rows: pa.Table, *, replace: bool = False
    ) -> None:
        """Commit the rows of one cell, unless it is there already; its former failure is forgotten.

        Images that failed in it are also noted apart, see `FailedImages`.

        Args:
            cell: which cell; its kind and settings are those of `measurement`.
            measurement: what the rows are; its settings are written once beside the cells.
            rows: see `Measurement.row_schema`; failed images have a reason and no values.
            replace: take the place of a cell that is there, if fewer images fail now.

        Raises:
            StoreError: the rows are not those of the cell, or cannot be written.
        """
        _check_settings(cell, measurement)
        table = check_rows(measurement, rows, f"cell {cell}")
        _check_belongs(cell, table)
        self._write_settings(measurement)
        data = to_bytes(table, {"key": cell.key, "settings": cell.settings})
        failed = _failed_images(table)
        commit_cell(self._folder, cell, cell_folder(cell), data, failed=failed, replace=replace)
        self._failures.forget(cell)

    def fail(
        self, cell: CellId, measurement: Measurement, reason: str, *, kind: str = "error"
    ) -> None:
        """Note that a cell failed and count the attempt, unless it is measured already.

        Args:
            cell: which cell.
            measurement: what was asked for.
            reason: one line for people.
            kind: one word for programs, such as ``error`` or ``out-of-memory``.
        """
        _check_settings(cell, measurement)
        if not self.has(cell):
            self._write_settings(measurement)
            self._failures.add(cell, reason, kind)

    def prepare(self, measurement: Measurement) -> None:
        """Note the settings of a measurement; the first write of a run, which finds out if it can.

        Raises:
            StoreError: the store cannot be written.
        """
        known_settings.write(self._folder, measurement, again=True)
        self._settings_written.add(measurement.digest)

    def has(self, cell: CellId) -> bool:
        """Return whether the cell is measured; its bytes are not hashed, `verify` does that."""
        return bool(files_of_stem(self._folder.names(cell_folder(cell)), cell_stem(cell)))

    def cells(
        self, kind: str, settings_digest: str, among: Iterable[CellId] | None = None
    ) -> dict[CellId, str]:
        """Measured cells with the file that counts for each, from one listing.

        Args:
            kind: of the measurement.
            settings_digest: of its settings.
            among: only these; all of the settings if None.
        """
        wanted = None if among is None else set(among)
        found = cell_files(self._folder, kind, settings_digest, wanted)
        return found if wanted is None else {c: path for c, path in found.items() if c in wanted}

    def failed(self, kind: str, settings_digest: str) -> pl.DataFrame:
        """Cells that failed and were not measured since.

        Returns:
            model, pretrained, task, key, kind (of the failure), reason (of the last attempt),
            attempts.
        """
        return self._failures.frame(
            kind, settings_digest, lambda: self.cells(kind, settings_digest)
        )

    def failed_in(self, cell: CellId) -> ImageReasons:
        """(image_id, reason) of the images that failed in one measured cell, from its note."""
        return failed_in_cell(self._folder, cell, cell_folder(cell))

    def failed_images(self, files: Mapping[CellId, str]) -> dict[CellId, ImageReasons]:
        """The same of many cells, where there are any; `files` as `cells` gives them."""
        return FailedImages(self._folder).of_files(files)

    def settings(self, kind: str) -> dict[str, Measurement]:
        """Measurements of a kind by settings digest, of all that was measured or failed here."""
        return known_settings.read(self._folder, kind)

    def require_settings(self, wanted: Measurement) -> None:
        """Refuse a store without cells of these settings.

        Raises:
            StoreError: nothing was measured here under `wanted`; the message says what differs.
        """
        present = self.settings(wanted.kind)
        if not present:
            raise StoreError(
                f"store {self.address} holds no {wanted.kind}: run `vlmsel measure {wanted.kind}` "
                "first"
            )
        if wanted.digest not in present:
            difference = known_settings.explain(present, wanted)
            raise StoreError(
                f"store {self.address} was written under other settings: {difference}; ask for "
                f"the store's settings or run `vlmsel measure {wanted.kind}` with the wanted ones"
            )

    def verify(
        self, kind: str, settings_digest: str, cells: Iterable[CellId] | None = None
    ) -> list[CellId]:
        """Hash files against their names; corrupt ones go to ``quarantine/`` and are missing then.

        Args:
            kind: of the measurement.
            settings_digest: of its settings.
            cells: only these; all of the settings if None.

        Returns:
            The cells whose file was corrupt.
        """
        wanted = None if cells is None else set(cells)
        paths = {
            path: cell
            for cell, path in walk_cells(self._folder, kind, settings_digest, wanted)
            if wanted is None or cell in wanted
        }
        corrupt: list[str] = []
        packed = self._folder.find_packed(paths)
        quarantine_corrupt(self._folder, sorted(paths.keys() - packed), corrupt.append)
        quarantine_corrupt_packs(self._folder, packed, QUARANTINE, corrupt.append)
        return sorted({paths[path] for path in corrupt}, key=str)

    def scan(
        self,
        files: Mapping[CellId, str],
        *,
        kind: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Scan:
        """Read cells of one kind; every file is read once, hashed, and parsed from memory.

        Nothing is moved: a corrupt file is named, left where it is and passed over.

        Args:
            files: as `cells` gives them.
            kind: of the measurement, which says the columns where there are no files.
            columns: of `Measurement.row_schema`; all if None.

        Raises:
            StoreError: a file cannot be read, or is of another schema.
        """
        kinds = {cell.kind for cell in files} | ({kind} if kind else set())
        if len(kinds) > 1:
            raise StoreError(f"cells of several kinds cannot be read at once: {sorted(kinds)}")
        kind = next(iter(kinds), None)
        schema = measurement_class(kind).row_schema() if kind else pa.schema([])
        cells = {path: cell for cell, path in files.items()}
        packed = self._folder.find_packed(cells)
        by_path = sorted((path, cell) for path, cell in cells.items() if path not in packed)
        moved: dict[str, CellId] = {}

        def find_again(cell: CellId) -> str | None:
            path = self._path(cell)
            if path is not None and self._folder.find_packed([path]):
                moved[path] = cell
                return None
            return path

        data, corrupt = read_sound(self._folder, by_path, find_again)
        where = f"one of {len(data)} {kind} files in {self.address}"
        rows = from_bytes(data, schema, where, columns)
        places = packed | self._folder.find_packed(moved)
        of_packs = read_packed(self._folder, places, schema, columns)
        cells |= moved
        lost = {cell for cell in corrupt if cell not in set(moved.values())}
        lost |= {cells[path] for path in of_packs.corrupt}
        found = pl.concat([rows, *of_packs.frames]) if of_packs.frames else rows
        return Scan(found, tuple(sorted(lost, key=lambda cell: files[cell])))

    def _path(self, cell: CellId) -> str | None:
        """The file that counts for a cell now; a retry may have replaced it since the listing."""
        names = files_of_stem(self._folder.names(cell_folder(cell)), cell_stem(cell))
        return f"{cell_folder(cell)}/{names[0]}" if names else None

    def _write_settings(self, measurement: Measurement) -> None:
        if measurement.digest not in self._settings_written:
            known_settings.write(self._folder, measurement)
            self._settings_written.add(measurement.digest)


def _failed_images(table: pa.Table) -> list[tuple[str, str]]:
    pairs = zip(table["image_id"].to_pylist(), table["reason"].to_pylist(), strict=True)
    return sorted({(image_id, reason) for image_id, reason in pairs if reason is not None})


def _check_settings(cell: CellId, measurement: Measurement) -> None:
    if (cell.kind, cell.settings) != (measurement.kind, measurement.digest):
        raise StoreError(
            f"cell {cell} belongs to {cell.kind} settings {cell.settings}, not to "
            f"{measurement.kind} settings {measurement.digest}"
        )


def _check_belongs(cell: CellId, table: pa.Table) -> None:
    for name in ("model", "pretrained", "task"):
        values = set(table[name].unique().to_pylist())
        if values != {getattr(cell, name)}:
            raise RowsError(f"cell {cell}: its rows have {name} {sorted(values)}")
