"""Stored cells that catalogs ask for; every file is read once."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property

import polars as pl

from vlmsel.columns import CELL
from vlmsel.errors import TaskError
from vlmsel.evidence.accuracies import (
    LOGIT_COLUMNS,
    PREDICTION_COLUMNS,
    SCHEMA,
    derive_accuracies,
    label_predictions,
    labels_frame,
)
from vlmsel.evidence.catalog_contents import Catalogued
from vlmsel.evidence.failure import Failure
from vlmsel.evidence.wanted_cells import wanted_cells, wanted_shards
from vlmsel.measurements.embedding import OUTPUT
from vlmsel.measurements.measurement import Want
from vlmsel.store.keys import CellId
from vlmsel.store.store import Scan, Store

log = logging.getLogger(__name__)


class Evidence:
    """The stored measurements of current catalogs, read on demand.

    Args:
        store: where they are.
        catalogued: the catalogs.
        wants: which measurement of how many images, by kind.
        with_logits: read the logits of predictions, too, which takes most of their bytes.
    """

    def __init__(
        self,
        store: Store,
        catalogued: Catalogued,
        wants: Mapping[str, Want],
        *,
        with_logits: bool = False,
    ) -> None:
        self._columns = [*PREDICTION_COLUMNS, *(LOGIT_COLUMNS if with_logits else ())]
        self.store = store
        self.catalogued = catalogued
        self._wants = wants
        self._files: dict[str, dict[CellId, str]] = {}
        self._wanted: dict[str, frozenset[CellId]] = {}

    def wanted(self, kind: str) -> frozenset[CellId]:
        """Every cell of a kind that the catalogs ask for; none where the kind is not wanted."""
        if kind not in self._wanted:
            wants = [self._wants[kind]] if kind in self._wants else []
            shards = wanted_shards(self.catalogued, wants)
            cells = wanted_cells(self.catalogued.models, shards)
            self._wanted[kind] = frozenset(cell for cell, _ in cells)
        return self._wanted[kind]

    def files(self, kind: str) -> dict[CellId, str]:
        """The wanted cells that are measured, with their files, from one listing."""
        if kind not in self._files:
            wanted = self.wanted(kind)
            digest = self._wants[kind].measurement.digest if wanted else ""
            self._files[kind] = self.store.cells(kind, digest, wanted) if wanted else {}
        return self._files[kind]

    @property
    def has_output_embeddings(self) -> bool:
        """True if embeddings of images are wanted, and are a model's output, not a block's."""
        want = self._wants.get("embedding")
        return want is not None and getattr(want.measurement, "layer", "") == OUTPUT

    def read(self, kind: str, columns: Sequence[str] | None = None) -> Scan:
        """Rows of the measured cells; corrupt files are named in the log and passed over."""
        scan = self.store.scan(self.files(kind), kind=kind, columns=columns)
        for cell in scan.corrupt:
            log.warning("passed over a corrupt file: %s; `vlmsel status --verify` names it", cell)
        return scan

    @cached_property
    def profiles(self) -> pl.DataFrame:
        """Measured images, one row per image and block, sorted."""
        scan = self._profile_scan
        return scan.measured.sort("model", "pretrained", "task", "image_id", "block")

    @cached_property
    def failed_images(self) -> pl.DataFrame:
        """Images without a profile in measured cells: model, pretrained, task, image_id, reason."""
        columns = [*CELL, "image_id", "reason"]
        rows = self._profile_scan.rows.filter(pl.col("reason").is_not_null())
        return rows.select(columns).unique().sort(columns)

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """Answers on the measured images, with their logits only where asked for; sorted."""
        scan = self._prediction_scan
        return scan.measured.sort(*CELL, "image_id")

    @cached_property
    def labels(self) -> pl.DataFrame:
        """Labels of all tasks with class names: task, image_id, label.

        Tasks without a label, or with a wrong labels file, are named in `label_faults`.
        """
        return labels_frame(self._labels[0])

    @property
    def label_faults(self) -> tuple[Failure, ...]:
        """Tasks of which no accuracy can be known, each with the reason."""
        return self._labels[1]

    @cached_property
    def unanswered_faults(self) -> tuple[Failure, ...]:
        """Tasks whose labelled images are none of those that were answered."""
        labelled = set(self.labels["task"])
        answered = set(self.labelled["task"])
        tasks = labelled & set(self.predictions["task"]) - answered
        reason = "none of its labelled images is among those answered: more images (--n-images)"
        return tuple(Failure("", "", task, None, reason) for task in sorted(tasks))

    @cached_property
    def _labels(self) -> tuple[dict[str, pl.DataFrame], tuple[Failure, ...]]:
        tables: dict[str, pl.DataFrame] = {}
        faults: list[Failure] = []
        for task in self.catalogued.prompts:
            try:
                table = self.catalogued.labels(task)
                if table.is_empty():
                    raise TaskError(
                        f"task '{task}' has no labels, which an accuracy needs: class folders, "
                        ".cls members, a label column, or `labels: FILE.csv` in its catalog"
                    )
                tables[task] = table
            except TaskError as error:
                faults.append(Failure("", "", task, None, str(error)))
        return tables, tuple(faults)

    @cached_property
    def labelled(self) -> pl.DataFrame:
        """Predictions of labelled images, with their label."""
        return label_predictions(self.predictions, self.labels)

    @cached_property
    def accuracies(self) -> pl.DataFrame:
        """Accuracies of the models and tasks whose every wanted prediction is measured.

        Those of a model that answered on a part of the images only would not compare with others.
        """
        found = derive_accuracies(self.labelled)
        whole = self._select_whole("prediction", self._prediction_scan)
        return found.join(whole, on=CELL, how="semi", maintain_order="left").select(list(SCHEMA))

    @cached_property
    def _profile_scan(self) -> Scan:
        return self.read("profile")

    @cached_property
    def _prediction_scan(self) -> Scan:
        return self.read("prediction", self._columns)

    def _select_whole(self, kind: str, scan: Scan) -> pl.DataFrame:
        """Model and task of which no wanted cell is missing or corrupt."""
        lacking = {
            (cell.model, cell.pretrained, cell.task)
            for cell in (self.wanted(kind) - self.files(kind).keys()) | set(scan.corrupt)
        }
        pairs = {(cell.model, cell.pretrained, cell.task) for cell in self.wanted(kind)} - lacking
        return pl.DataFrame(sorted(pairs), schema=dict.fromkeys(CELL, pl.String), orient="row")
