"""The profile store: one Parquet file a cell, whole, named after the digest of its bytes."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pyarrow as pa

from vlmsel.errors import StoreError
from vlmsel.settings import AttributionSettings
from vlmsel.store import imported, known_settings
from vlmsel.store.cells import cell_files, cell_folder, cell_stem, walk_cells
from vlmsel.store.failed_images import ImageReasons, commit_cell, failed_in_cell
from vlmsel.store.failures import FailureLog
from vlmsel.store.files import first_by_stem, quarantine_corrupt, read_listed
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import CellId
from vlmsel.store.merge import one_row_per_image
from vlmsel.store.schema import PROFILE_SCHEMA, check_profile_rows, to_bytes


class ProfileStore:
    """Measured and failed cells under one address.

    Writing is atomic and idempotent, so any number of writers may work on one store; the layout and
    the guarantees are in docs/store.md.

    Args:
        uri: local folder, ``file://``, ``s3://`` or ``gs://bucket/prefix``; made on first write.
    """

    def __init__(self, uri: str | Path) -> None:
        self._folder = open_folder(uri)
        self._failures = FailureLog(self._folder)
        self._settings_written: set[str] = set()

    @property
    def address(self) -> str:
        """Where the store is, without credentials."""
        return self._folder.address

    def write(
        self,
        cell: CellId,
        settings: AttributionSettings,
        rows: pa.Table,
        *,
        replace: bool = False,
    ) -> None:
        """Commit the rows of one cell, unless it is there already; its former failure is forgotten.

        Images that failed in it are also noted apart, see `FailedImages`.

        Args:
            cell: which cell; ``cell.settings`` is the digest of `settings`.
            settings: what the rows were computed with; written once beside the cells.
            rows: long form, see `PROFILE_SCHEMA`; failed images have a reason and no values.
            replace: take the place of a cell that is there, if fewer images fail now.

        Raises:
            StoreError: the rows are not those of the cell, or cannot be written.
        """
        self._check_settings(cell, settings)
        if replace or not self.has(cell):
            table = check_profile_rows(rows, f"cell {cell}")
            _check_belongs(cell, table)
            self._write_settings(settings)
            data = to_bytes(table, {"key": cell.key, "settings": cell.settings})
            failed = _failed_images(table)
            commit_cell(self._folder, cell, cell_folder(cell), data, failed=failed, replace=replace)
        self._failures.forget(cell)

    def write_failure(
        self, cell: CellId, settings: AttributionSettings, reason: str, *, kind: str = "error"
    ) -> None:
        """Note that a cell failed and count the attempt, unless it is measured already.

        Args:
            cell: which cell.
            settings: what was asked for.
            reason: one line for people.
            kind: one word for programs, such as ``error`` or ``out-of-memory``.
        """
        self._check_settings(cell, settings)
        if not self.has(cell):
            self._write_settings(settings)
            self._failures.add(cell, reason, kind)

    def has(self, cell: CellId) -> bool:
        """Whether the cell is measured; its bytes are not hashed, `verify` does that."""
        return cell_stem(cell) in first_by_stem(self._folder.names(cell_folder(cell)))

    def measured(self, settings_digest: str) -> set[CellId]:
        """Every measured cell of these settings, from one listing."""
        return set(self.files(settings_digest))

    def files(self, settings_digest: str) -> dict[CellId, str]:
        """The file that counts of every measured cell, relative to the store."""
        return cell_files(self._folder, settings_digest)

    def failed_in(self, cell: CellId) -> ImageReasons:
        """(image_id, reason) of the images that failed in one measured cell, from its note."""
        return failed_in_cell(self._folder, cell, cell_folder(cell))

    def failed(self, settings_digest: str) -> pl.DataFrame:
        """Cells that failed and were not measured since.

        Returns:
            model, pretrained, task, key, kind, reason (of the last attempt), attempts.
        """
        return self._failures.frame(settings_digest, lambda: self.measured(settings_digest))

    def settings(self) -> dict[str, AttributionSettings]:
        """Settings by digest, of everything that was measured or failed here."""
        return known_settings.read(self._folder)

    def explain_settings(self, wanted: AttributionSettings) -> str:
        """How the settings in this store differ from `wanted`, in words; empty if it has them."""
        present = self.settings()
        return "" if wanted.digest in present else known_settings.explain(present, wanted)

    def require_settings(self, wanted: AttributionSettings) -> None:
        """Refuse a store without cells of these settings.

        Raises:
            StoreError: nothing was measured here under `wanted`; the message says what differs.
        """
        present = self.settings()
        if not present:
            raise StoreError(known_settings.describe(self.address, present, None))
        difference = self.explain_settings(wanted)
        if difference:
            raise StoreError(
                f"store {self.address} was written under other settings: {difference}; "
                "ask for the store's settings or run `vlmsel profile` with the wanted ones"
            )

    def verify(self, settings_digest: str, cells: Iterable[CellId] | None = None) -> list[CellId]:
        """Hash files against their names; corrupt ones go to ``quarantine/`` and are missing then.

        Args:
            settings_digest: which settings.
            cells: only these; all of the settings if None.

        Returns:
            The cells whose file was corrupt.
        """
        wanted = None if cells is None else set(cells)
        paths = {
            path: cell
            for cell, path in walk_cells(self._folder, settings_digest, wanted)
            if wanted is None or cell in wanted
        }
        corrupt: list[str] = []
        quarantine_corrupt(self._folder, sorted(paths), corrupt.append)
        return sorted({paths[path] for path in corrupt}, key=str)

    def scan(
        self, settings_digest: str | None = None, *, cells: Iterable[CellId] | None = None
    ) -> pl.DataFrame:
        """Measured images, one row per image and block, sorted; every file's hash is checked.

        Args:
            settings_digest: which settings; None means the only ones in the store.
            cells: only these cells, which must all be measured; None means all.

        Returns:
            model, pretrained, task, image_id, image_sha256, block, block_name, conductance,
            completeness_error, objective.

        Raises:
            StoreError: cells are missing or corrupt, the settings are not here or not the only
                ones, or one image has two different profiles.
        """
        rows = self._read(self._digest(settings_digest), cells)
        return one_row_per_image(
            rows.filter(pl.col("reason").is_null()).drop("reason"), self.address
        )

    def failed_images(
        self, settings_digest: str | None = None, *, cells: Iterable[CellId] | None = None
    ) -> pl.DataFrame:
        """Images that failed within measured cells: model, pretrained, task, image_id, reason."""
        rows = self._read(self._digest(settings_digest), cells).filter(
            pl.col("reason").is_not_null()
        )
        columns = ["model", "pretrained", "task", "image_id", "reason"]
        return rows.select(columns).unique().sort(columns)

    def import_profiles(self, frame: pl.DataFrame, name: str) -> None:
        """Keep a published table under `name`, in place of an earlier one of that name."""
        imported.write_profiles(self._folder, frame, name)

    def imported(self, source: str | None = None) -> pl.DataFrame:
        """Imported profiles.

        Args:
            source: name of one import; None means all of them.

        Returns:
            model, pretrained, task, image_id (``published``), block, block_name, conductance,
            source (the import's name).

        Raises:
            StoreError: there is no such import, or two imports hold one model.
        """
        return imported.read_profiles(self._folder, source)

    def _read(self, settings_digest: str, cells: Iterable[CellId] | None) -> pl.DataFrame:
        wanted = None if cells is None else set(cells)

        def listed() -> list[str]:
            files = cell_files(self._folder, settings_digest, wanted)
            if wanted is None:
                return sorted(files.values())
            self._check_complete(wanted, files)
            return sorted(files[cell] for cell in wanted)

        return read_listed(self._folder, listed, PROFILE_SCHEMA)

    def _digest(self, settings_digest: str | None) -> str:
        present = self.settings()
        if settings_digest in present:
            return settings_digest
        if settings_digest is None and len(present) == 1:
            return next(iter(present))
        raise StoreError(known_settings.describe(self.address, present, settings_digest))

    def _check_complete(self, wanted: set[CellId], files: dict[CellId, str]) -> None:
        missing = sorted((cell for cell in wanted if cell not in files), key=str)
        if missing:
            raise StoreError(
                f"{len(missing)} of {len(wanted)} cells are not measured in {self.address}, "
                f"the first is {missing[0]}: "
                "run `vlmsel profile` for this zoo and these tasks first"
            )

    def _check_settings(self, cell: CellId, settings: AttributionSettings) -> None:
        if cell.settings != settings.digest:
            raise StoreError(
                f"cell {cell} belongs to settings {cell.settings}, not to {settings.digest}"
            )

    def _write_settings(self, settings: AttributionSettings) -> None:
        if settings.digest not in self._settings_written:
            known_settings.write(self._folder, settings)
            self._settings_written.add(settings.digest)


def _failed_images(table: pa.Table) -> list[tuple[str, str]]:
    pairs = zip(table["image_id"].to_pylist(), table["reason"].to_pylist(), strict=True)
    return sorted({(image_id, reason) for image_id, reason in pairs if reason is not None})


def _check_belongs(cell: CellId, table: pa.Table) -> None:
    for name in ("model", "pretrained", "task"):
        values = set(table[name].unique().to_pylist())
        if values != {getattr(cell, name)}:
            raise StoreError(f"cell {cell}: its rows have {name} {sorted(values)}")
