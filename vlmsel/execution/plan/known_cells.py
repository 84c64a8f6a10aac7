"""Cells of a job that a store holds already and that need not be measured again."""

import logging
from collections.abc import Callable, Set

import polars as pl

from vlmsel.execution.plan.units import Job
from vlmsel.execution.plan.work_plan import Known
from vlmsel.store.failed_images import ImageReasons
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store
from vlmsel.tasks.outages import TRANSIENT

log = logging.getLogger(__name__)


def known_cells(
    store: Store, job: Job, wanted: Callable[[], Set[CellId]], *, verify: bool, retry_failed: bool
) -> Known:
    """The measured and failed cells of a job.

    Args:
        store: what is looked at.
        job: the measurements.
        wanted: names the cells that are asked for, of which alone files are hashed.
        verify: hash their files first; corrupt ones are set aside, so that they count as missing.
        retry_failed: whether the plan is to try failed cells again.

    Raises:
        StoreError: the store cannot be read.
    """
    measured: set[CellId] = set()
    failed: dict[CellId, str] = {}
    images: dict[CellId, ImageReasons] = {}
    asked = wanted() if verify else frozenset()
    for kind, measurement in job.measurements.items():
        digest = measurement.digest
        if verify:
            for corrupt in store.verify(kind, digest, (c for c in asked if c.kind == kind)):
                log.warning("set aside a corrupt file, measured again: %s", corrupt)
        files = store.cells(kind, digest)
        measured |= files.keys()
        images |= store.failed_images(files)
        # What failed for a reason that may pass is tried again without being asked for.
        lasting = store.failed(kind, digest).filter(pl.col("kind") != TRANSIENT)
        columns = ("model", "pretrained", "task", "key", "reason")
        failed |= {
            CellId(model, pretrained, task, key, digest, kind): reason
            for model, pretrained, task, key, reason in lasting.select(columns).iter_rows()
        }
    return Known(measured, failed, images, retry_failed)
