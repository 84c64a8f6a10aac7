"""What a store holds of a job: the cells that need not be measured again."""

import logging
from collections.abc import Mapping

import polars as pl

from vlmsel.execution.cells import Job, ProfileJob
from vlmsel.execution.plan import Known
from vlmsel.store.accuracies import AccuracyStore
from vlmsel.store.failed_images import FailedImages, ImageReasons
from vlmsel.store.failures import FailureLog
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import CellId
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.outages import TRANSIENT

log = logging.getLogger(__name__)


def known_cells(store_uri: str, job: Job, *, verify: bool, retry_failed: bool) -> Known:
    """The measured and failed cells of a job.

    Args:
        store_uri: address of the store.
        job: profiles or accuracies.
        verify: hash every file first; corrupt ones are set aside, so that they count as missing.
        retry_failed: whether the plan is to try failed cells again.

    Raises:
        StoreError: the store cannot be read.
    """
    if verify:
        for corrupt in corrupt_cells(store_uri, job):
            log.warning("set aside a corrupt file, measured again: %s", corrupt)
    measured = measured_cells(store_uri, job)
    images = failed_images(store_uri, job, measured)
    # What failed for a reason that may pass is tried again without being asked for.
    lasting = failed_cells(store_uri, job).filter(pl.col("kind") != TRANSIENT)
    columns = ("model", "pretrained", "task", "key", "reason")
    failed = {
        CellId(model, pretrained, task, key, job.digest): reason
        for model, pretrained, task, key, reason in lasting.select(columns).iter_rows()
    }
    return Known(measured.keys(), failed, images, retry_failed)


def measured_cells(store_uri: str, job: Job) -> dict[CellId, str]:
    """Every measured cell of a job and the file that counts, from one listing."""
    if isinstance(job, ProfileJob):
        return ProfileStore(store_uri).files(job.digest)
    return AccuracyStore(store_uri).files()


def failed_images(
    store_uri: str, job: Job, measured: Mapping[CellId, str]
) -> dict[CellId, ImageReasons]:
    """(image_id, reason) of the images that failed in `measured_cells`, where there are any."""
    return FailedImages(open_folder(store_uri)).all(job.digest, measured)


def failed_cells(store_uri: str, job: Job) -> pl.DataFrame:
    """Failed cells of a job: model, pretrained, task, key, kind, reason, attempts."""
    if isinstance(job, ProfileJob):
        return ProfileStore(store_uri).failed(job.digest)
    failures = FailureLog(open_folder(store_uri))
    return failures.frame(job.digest, AccuracyStore(store_uri).files)


def corrupt_cells(store_uri: str, job: Job) -> list[str]:
    """Find files whose bytes do not hash to their names and set them aside.

    Returns what they were.
    """
    if isinstance(job, ProfileJob):
        return [str(cell) for cell in ProfileStore(store_uri).verify(job.digest)]
    found = AccuracyStore(store_uri).verify()
    return [f"accuracy of {model}/{tag} on {task}" for model, tag, task, _ in found]
