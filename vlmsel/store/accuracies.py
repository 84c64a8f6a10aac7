"""The accuracy store: one Parquet file a measured (model, pretrained, task, key), and imports."""

from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from vlmsel.errors import StoreError
from vlmsel.store import imported
from vlmsel.store.failed_images import ImageReasons, commit_cell, failed_in_cell
from vlmsel.store.files import first_by_stem, list_folders, quarantine_corrupt, read_listed
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import (
    ACCURACY_SETTINGS,
    CellId,
    decode_model_folder,
    decode_stem,
    model_folder,
    parse_file_name,
    stem,
)
from vlmsel.store.schema import ACCURACY_SCHEMA, check_accuracy_rows, to_bytes

ACCURACIES = "accuracies"
MEASURED = "measured"
TRIPLE = ("model", "pretrained", "task")


class AccuracyStore:
    """Zero-shot accuracies, measured or imported; same address and guarantees as `ProfileStore`.

    Args:
        uri: local folder, ``file://``, ``s3://`` or ``gs://bucket/prefix``; made on first write.
    """

    def __init__(self, uri: str | Path) -> None:
        self._folder = open_folder(uri)

    @property
    def address(self) -> str:
        """Where the store is, without credentials."""
        return self._folder.address

    def write(
        self,
        model: str,
        pretrained: str,
        task: str,
        key: str,
        rows: pa.Table,
        *,
        failed: Sequence[tuple[str, str]] = (),
        replace: bool = False,
    ) -> None:
        """Commit one measured accuracy; nothing happens when it is there already.

        Args:
            model: architecture or own name.
            pretrained: tag or own label.
            task: task name.
            key: fingerprint of all that can change the value, letters, digits, - and _.
            rows: one row: acc1 and, where known, acc5, mean_per_class_recall (fractions) and
                n_images; the columns model, pretrained, task may be left out.
            failed: (image_id, reason) of the images that it was measured without.
            replace: take the place of an accuracy that is there, if fewer images fail now.

        Raises:
            StoreError: the row is of another model or task, is no fraction, or cannot be written.
        """
        what = f"accuracy of {model}/{pretrained} on {task}"
        if not replace and self.has(model, pretrained, task, key):
            return
        for name, value in zip(TRIPLE, (model, pretrained, task), strict=True):
            if name not in rows.column_names:
                rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.string()))
            if set(rows[name].to_pylist()) != {value}:
                raise StoreError(
                    f"{what}: its rows have {name} {sorted(set(rows[name].to_pylist()))}"
                )
        data = to_bytes(check_accuracy_rows(rows, what), {"key": key})
        cell = CellId(model, pretrained, task, key, ACCURACY_SETTINGS)
        place = _folder(model, pretrained)
        commit_cell(self._folder, cell, place, data, failed=failed, replace=replace)

    def has(self, model: str, pretrained: str, task: str, key: str) -> bool:
        """Whether this accuracy is measured."""
        return stem(task, key) in first_by_stem(self._folder.names(_folder(model, pretrained)))

    def failed_in(self, cell: CellId) -> ImageReasons:
        """(image_id, reason) of the images that a measured accuracy is without, from its note."""
        return failed_in_cell(self._folder, cell, _folder(cell.model, cell.pretrained))

    def files(self) -> dict[CellId, str]:
        """The file that counts of every measured accuracy, from one listing."""
        found: dict[CellId, str] = {}
        for path, names in list_folders(self._folder, ACCURACIES, None).items():
            model = decode_model_folder(path.rpartition("/")[2])
            for start, name in first_by_stem(names).items():
                place = decode_stem(start)
                if model and place:
                    found[CellId(*model, *place, ACCURACY_SETTINGS)] = f"{path}/{name}"
        return found

    def scan(
        self, *, keys: Collection[str] | None = None, sources: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Every accuracy once, sorted by model, pretrained and task; measured wins over imported.

        Published tables differ in the third digit and sometimes more; of several imports of one
        (model, pretrained, task) the first in `sources` counts, else the first by name.

        Args:
            keys: count only the measured accuracies of these keys, those of the current zoo and
                tasks.
            sources: take only these, ``measured`` or names of imports, the first one first.

        Returns:
            model, pretrained, task, acc1 (fraction), acc5, mean_per_class_recall, n_images
            (null where unknown), source (``measured`` or the import's name).

        Raises:
            StoreError: a file is corrupt, a source is unknown, or one (model, pretrained, task) has
                different measured values.
        """
        frame = pl.concat([self._measured(keys), imported.read_accuracies(self._folder)])
        if sources is None:
            names = frame["source"].unique().sort().to_list()
            sources = [MEASURED, *(name for name in names if name != MEASURED)]
        for source in sources:
            if source != MEASURED and source not in frame["source"]:
                raise StoreError(f"store {self.address} has no accuracies from {source!r}")
        order = pl.col("source").replace_strict(
            {source: place for place, source in enumerate(sources)}, return_dtype=pl.Int64
        )
        chosen = frame.filter(pl.col("source").is_in(sources)).sort(*TRIPLE, order)
        return chosen.unique(subset=TRIPLE, keep="first", maintain_order=True)

    def verify(self) -> list[tuple[str, str, str, str]]:
        """Hash every measured file against its name; corrupt ones go to ``quarantine/``.

        Returns:
            (model, pretrained, task, key) of each corrupt file; they are missing from then on.
        """
        found: dict[str, tuple[str, str, str, str]] = {}
        for path, names in list_folders(self._folder, ACCURACIES, None).items():
            model = decode_model_folder(path.rpartition("/")[2])
            for name in names:
                parsed = parse_file_name(name)
                place = decode_stem(parsed[0]) if parsed else None
                if model and place:
                    found[f"{path}/{name}"] = (*model, *place)
        corrupt: list[str] = []
        quarantine_corrupt(self._folder, sorted(found), corrupt.append)
        return [found[path] for path in corrupt]

    def import_accuracies(self, frame: pl.DataFrame, name: str) -> None:
        """Keep a published table under `name`, in place of an earlier one of that name."""
        if name == MEASURED:
            raise StoreError(f"import name {MEASURED!r} is reserved for what was measured here")
        imported.write_accuracies(self._folder, frame, name)

    def _measured(self, keys: Collection[str] | None) -> pl.DataFrame:

        def listed() -> list[str]:
            files = self.files().items()
            return sorted(path for cell, path in files if keys is None or cell.key in keys)

        frame = read_listed(self._folder, listed, ACCURACY_SCHEMA)
        frame = frame.with_columns(source=pl.lit(MEASURED))
        self._refuse_conflicts(
            frame, "weights, images or prompts changed over time: pass zoo and tasks to choose"
        )
        return frame.unique(subset=TRIPLE, keep="first", maintain_order=True)

    def _refuse_conflicts(self, frame: pl.DataFrame, advice: str) -> None:
        several = (
            frame.group_by(TRIPLE)
            .agg(n=pl.col("acc1").n_unique())
            .filter(pl.col("n") > 1)
            .sort(TRIPLE)
        )
        if several.height:
            model, pretrained, task, _ = several.row(0)
            raise StoreError(
                f"store {self.address} holds different accuracies of {several.height} "
                f"(model, task) pairs, the first is {model}/{pretrained} on {task}; {advice}"
            )


def _folder(model: str, pretrained: str) -> str:
    return f"{ACCURACIES}/{model_folder(model, pretrained)}"
